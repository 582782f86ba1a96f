"""Whether pandas reads a metadata.csv as Python's csv module does. Run by hand, where pandas is installed:

  python3 compare_with_pandas.py METADATA_CSV...

What trains on the CSV reads it by pandas.read_csv with its defaults, which guess a type for each column and take a few
words (NA, null, ...) for a missing value: prompts begin with a fixed sentence, so none of that applies to them.
"""
import csv
import sys

import pandas


def main():
    rows = 0
    for path in sys.argv[1:]:
        with open(path, newline="", encoding="utf-8") as file:
            expected = list(csv.reader(file))
        table = pandas.read_csv(path)
        if list(table.columns) != expected[0]:
            sys.exit(f"{path}: columns {list(table.columns)}, not {expected[0]}")
        if table.values.tolist() != expected[1:]:
            for ours, theirs in zip(expected[1:], table.values.tolist()):
                if ours != theirs:
                    sys.exit(f"{path}: pandas reads {theirs}, not {ours}")
            sys.exit(f"{path}: pandas reads {len(table)} rows, not {len(expected) - 1}")
        rows += len(table)
    print(f"pandas {pandas.__version__}: {rows} rows of {len(sys.argv) - 1} files are equal")


main()
