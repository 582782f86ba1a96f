"""check_sync.py MAKE_OFFLINE_RUN COMMAND...: COMMAND FOLDER uploads the offline run FOLDER with all that is in it.

COMMAND gets the key and the server, which is a stand-in, by its environment. Works in TEST_TMPDIR.
"""
import os
import pathlib
import subprocess
import sys

from loopback import Loopback

WORK = pathlib.Path(os.environ["TEST_TMPDIR"])


def main():
    make_offline_run, *command = sys.argv[1:]
    server = Loopback(WORK / "server")
    try:
        subprocess.run([make_offline_run, str(WORK / "run")], check=True)
        (run,) = (WORK / "run" / "wandb").glob("offline-run-*")
        environment = dict(server.environment(WORK), WANDB_ERROR_REPORTING="false")
        said = subprocess.run([*command, str(run)], env=environment, cwd=WORK, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True)
        print(said.stdout)
        assert said.returncode == 0, said.returncode
        state = server.state()
    finally:
        server.kill()
    assert state["unknown"] == [], state["unknown"]
    (seen,) = state["runs"]
    assert seen["name"] == "offline1" and seen["entity"] == "team" and seen["project"] == "roads"
    assert seen["displayName"] == "made offline" and seen["exit_code"] == 0
    assert seen["config"]["lr"]["value"] == 0.5
    assert [row["trainer/global_step"] for row in seen["history"]] == [0, 10, 20, 20]
    assert [row.get("loss") for row in seen["history"]] == [1.0, 0.5, 0.25, None]
    assert seen["summary"]["best"] == 0.25
    assert any("a line" in line for line in seen["output"].values()), seen["output"]
    assert "run/team/roads/offline1/" + seen["history"][3]["view"]["path"] in state["blobs"]
    (artifact,) = state["artifacts"]
    assert artifact["state"] == "COMMITTED" and artifact["aliases"] == ["last", "latest"]
    assert artifact["collection"] == ["team", "roads", "model-offline1"]
    assert state["blobs"]["artifact/%s/weights" % artifact["id"]]["size"] == 7


main()
