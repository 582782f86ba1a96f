"""`wandb sync` of the Python package uploads an offline run of ours to a stand-in for the server, with all that is in it.

Arguments: the program that makes the run.
"""
import json
import os
import pathlib
import subprocess
import sys
import time

WORK = pathlib.Path(os.environ["TEST_TMPDIR"])
SERVER = pathlib.Path(os.environ["TEST_SRCDIR"], os.environ["TEST_WORKSPACE"], "tools/wandb/testing/loopback_server.py")


def main():
    folder = WORK / "server"
    folder.mkdir()
    server = subprocess.Popen([sys.executable, str(SERVER), str(folder)])
    try:
        while not (folder / "port").exists():
            assert server.poll() is None, "the server ended"
            time.sleep(0.01)
        subprocess.run([sys.argv[1], str(WORK / "run")], check=True)
        (run,) = (WORK / "run" / "wandb").glob("offline-run-*")
        environment = dict(os.environ, HOME=str(WORK), WANDB_API_KEY="k" * 40, WANDB_ERROR_REPORTING="false",
                           WANDB_BASE_URL="http://127.0.0.1:" + (folder / "port").read_text())
        said = subprocess.run([sys.executable, "-S", "-m", "wandb", "sync", str(run)], env=environment, cwd=WORK,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        print(said.stdout)
        assert said.returncode == 0
        state = json.loads((folder / "state.json").read_text())
    finally:
        server.kill()
        server.wait()
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
