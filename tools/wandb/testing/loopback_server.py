"""A stand-in for the server of Weights & Biases on 127.0.0.1: loopback_server.py FOLDER [PORT]

It keeps runs, files and artifacts in memory and answers what wandb-core 0.31.0 asks for, and our own look-ups. What it
does not know is a GraphQL error and stands in state.json under "unknown", so that no new request passes unseen. It says
nothing of the real server's limits, and does not validate queries.

In FOLDER: `port` once it listens; `state.json` after each request; `faults`, read before each, with lines
  NAME ACTION [COUNT]
NAME: a GraphQL operation, file_stream, PUT, GET, or * for all of them. ACTION: an HTTP status; silence (no answer);
die (the server ends); wrong (GET: another body), cut (GET: half of the body), or stall (GET: half of it, and then
nothing). COUNT: how often, always if it is left out. `seed.json`, taken before a request, is what others have put there:
  {"runs": [{"entity", "project", "name", "displayName", "history": [{}], "files": {NAME: PATH}}],
   "artifacts": [{"collection": [ENTITY, PROJECT, NAME], "aliases": [], "files": {NAME: PATH}}]}
with each file's contents from PATH.
"""
import base64
import gzip
import hashlib
import http.server
import json
import os
import pathlib
import re
import sys
import threading
import time
import urllib.parse

FOLDER = pathlib.Path(sys.argv[1])
KEY = "k" * 40
DEFAULT_ENTITY = "default-team"
LOCK = threading.RLock()
RUNS, ARTIFACTS, MANIFESTS, BLOBS = {}, {}, {}, {}
UNKNOWN, REQUESTS, USED_FAULTS = [], [], {}


def fault(name):
    """What goes wrong with a request of this name, if anything."""
    try:
        lines = (FOLDER / "faults").read_text().splitlines()
    except FileNotFoundError:
        return None
    for line in lines:
        wanted, action, *count = line.split()
        if wanted not in (name, "*"):
            continue
        used = USED_FAULTS.get(line, 0)
        if not count or used < int(count[0]):
            USED_FAULTS[line] = used + 1
            return action
    return None


def take_seed():
    try:
        seed = json.loads((FOLDER / "seed.json").read_text())
    except FileNotFoundError:
        return
    (FOLDER / "seed.json").unlink()
    for given in seed.get("runs", []):
        key = (given["entity"], given["project"], given["name"])
        run = make_run(key)
        run["displayName"] = given.get("displayName", run["displayName"])
        run["history"] += [json.dumps(row) for row in given.get("history", [])]
        for name, path in given.get("files", {}).items():
            BLOBS["run/%s/%s/%s/%s" % (*key, name)] = pathlib.Path(path).read_bytes()
            run["files"].add(name)
    for given in seed.get("artifacts", []):
        contents = {name: pathlib.Path(path).read_bytes() for name, path in given["files"].items()}
        files = {name: md5(data) for name, data in contents.items()}
        text = "wandb-artifact-manifest-v1\n" + "".join("%s:%s\n" % file for file in sorted(files.items()))
        version = sum(a["collection"] == given["collection"] for a in ARTIFACTS.values())
        artifact = {"id": identity("Artifact", len(ARTIFACTS)), "state": "COMMITTED", "type": "model",
                    "digest": hashlib.md5(text.encode()).hexdigest(), "collection": given["collection"], "wanted": None,
                    "aliases": set(), "files": files, "metadata": None, "run": None, "version": version,
                    "manifest": None}
        ARTIFACTS[artifact["id"]] = artifact
        move_aliases(artifact, given["aliases"])
        for name, data in contents.items():
            BLOBS["artifact/%s/%s" % (artifact["id"], name)] = data


def save_state():
    state = {
        "runs": [dict(run, files=sorted(run["files"]), history=[json.loads(row) for row in run["history"]],
                      config=json.loads(run["config"]), summary=json.loads(run["summary"])) for run in RUNS.values()],
        "artifacts": [dict(a, aliases=sorted(a["aliases"]), wanted=None) for a in ARTIFACTS.values()],
        "blobs": {name: {"size": len(data), "md5": md5(data)} for name, data in BLOBS.items()},
        "unknown": UNKNOWN,
        "requests": REQUESTS,
    }
    temporary = FOLDER / "state.json.tmp"
    temporary.write_text(json.dumps(state))
    temporary.rename(FOLDER / "state.json")


def md5(data):
    return base64.b64encode(hashlib.md5(data).digest()).decode()


def identity(*parts):
    return base64.b64encode(":".join(map(str, parts)).encode()).decode()


def run_key(v, name):
    return (v.get("entity") or DEFAULT_ENTITY, v.get("project") or "uncategorized", name)


def make_run(key):
    if key not in RUNS:
        RUNS[key] = {"id": identity("Run", *key), "entity": key[0], "project": key[1], "name": key[2],
                     "displayName": key[2], "config": "{}", "summary": "{}", "history": [], "events": [], "output": {},
                     "tags": [], "notes": None, "files": set(), "finished": False, "exit_code": None}
    return RUNS[key]


def bucket(run):
    return {"id": run["id"], "name": run["name"], "displayName": run["displayName"], "description": None,
            "config": run["config"], "sweepName": None, "historyLineCount": len(run["history"]),
            "project": {"id": identity("Project", run["project"]), "name": run["project"],
                        "entity": {"id": identity("Entity", run["entity"]), "name": run["entity"]}}}


def upsert_bucket(v, _):
    key = run_key(v, v["name"])
    if v.get("id"):
        key = next((k for k, run in RUNS.items() if run["id"] == v["id"]), key)
    inserted = key not in RUNS
    run = make_run(key)
    for name in ("displayName", "config", "tags", "notes"):
        if v.get(name) is not None:
            run[name] = v[name]
    return {"upsertBucket": {"bucket": bucket(run), "inserted": inserted}}


def run_resume_status(v, _):
    run = RUNS.get(run_key(v, v["name"]))
    found = run and dict(bucket(run), summaryMetrics=run["summary"], logLineCount=len(run["output"]),
                         historyLineCount=len(run["history"]), eventsLineCount=len(run["events"]),
                         historyTail=json.dumps(run["history"][-1:]), eventsTail=json.dumps(run["events"][-1:]),
                         tags=run["tags"], notes=run["notes"], wandbConfig=json.dumps({"t": 1}))
    return {"model": {"id": identity("Project", v.get("project")), "name": v.get("project"),
                      "entity": {"id": identity("Entity"), "name": v.get("entity") or DEFAULT_ENTITY}, "bucket": found}}


def file_key(v, name):
    return "run/%s/%s/%s/%s" % (v["entity"], v["project"], v["run"], name)


def create_run_files(v, base):
    make_run((v["entity"], v["project"], v["run"]))
    return {"createRunFiles": {"runID": identity("Run", v["run"]), "uploadHeaders": [], "files": [
        {"name": name, "uploadUrl": "%s/storage/%s" % (base, file_key(v, name))} for name in v["files"]]}}


def move_aliases(artifact, aliases):
    for other in ARTIFACTS.values():
        if other["collection"] == artifact["collection"]:
            other["aliases"] -= set(aliases)
    artifact["aliases"] |= set(aliases)


def create_artifact(v, _):
    given = v["input"]
    collection = [given["entityName"], given["projectName"], given["artifactCollectionName"]]
    aliases = [alias["alias"] for alias in given.get("aliases") or []]
    committed = [a for a in ARTIFACTS.values() if a["collection"] == collection and a["state"] == "COMMITTED"]
    for artifact in committed:
        if artifact["digest"] == given["digest"]:
            move_aliases(artifact, aliases)
            return {"createArtifact": {"artifact": {"id": artifact["id"], "state": "COMMITTED",
                                                    "artifactSequence": {"latestArtifact": {"id": artifact["id"]}}}}}
    artifact = {"id": identity("Artifact", len(ARTIFACTS)), "state": "PENDING", "digest": given["digest"],
                "type": given["artifactTypeName"], "collection": collection, "wanted": aliases, "aliases": set(),
                "files": {}, "metadata": given.get("metadata"), "run": given.get("runName"), "version": len(committed),
                "manifest": None}
    ARTIFACTS[artifact["id"]] = artifact
    latest = {"id": committed[-1]["id"]} if committed else None
    return {"createArtifact": {"artifact": {"id": artifact["id"], "state": "PENDING",
                                            "artifactSequence": {"latestArtifact": latest}}}}


def create_artifact_manifest(v, base):
    name = "manifest/%d" % len(MANIFESTS)
    MANIFESTS[name] = v["artifactID"]
    file = {"id": identity("File", name)}
    if v["includeUpload"]:
        ARTIFACTS[v["artifactID"]]["manifest"] = name
        file.update(uploadUrl="%s/storage/%s" % (base, name), uploadHeaders=["X-Test:1"])
    return {"createArtifactManifest": {"artifactManifest": {"id": identity(name), "file": file}}}


def create_artifact_files(v, base):
    edges = []
    for file in v["input"]["artifactFiles"]:
        ARTIFACTS[file["artifactID"]]["files"][file["name"]] = file["md5"]
        edges.append({"node": {
            "storagePath": "wandb_artifacts/%s/%s" % (file["artifactID"], file["md5"]),
            "uploadUrl": "%s/storage/artifact/%s/%s" % (base, file["artifactID"], file["name"]),
            "uploadHeaders": ["Content-MD5:" + file["md5"]], "uploadMultipartUrls": None,
            "artifact": {"id": file["artifactID"]}}})
    return {"createArtifactFiles": {"files": {"edges": edges}}}


def commit_artifact(v, _):
    artifact = ARTIFACTS[v["artifactID"]]
    artifact["state"] = "COMMITTED"
    move_aliases(artifact, artifact["wanted"])
    return {"commitArtifact": {"artifact": {"id": artifact["id"], "digest": artifact["digest"]}}}


def artifact_manifest(v, base):
    artifact = ARTIFACTS.get(v["artifact_id"])
    return {"artifact": artifact and {"currentManifest": {"file": {
        "directUrl": "%s/storage/%s" % (base, artifact["manifest"])}}}}


def file_node(base, name, key):
    data = BLOBS.get(key, b"")
    # What came later has a later time.
    order = list(BLOBS).index(key) if key in BLOBS else 0
    return {"node": {"name": name, "directUrl": "%s/storage/%s" % (base, urllib.parse.quote(key)),
                     "sizeBytes": len(data), "md5": md5(data),
                     "updatedAt": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(1700000000 + order))}}


def page_of(nodes, v):
    """Two files a page, so that the pages are taken."""
    begin = int(v.get("cursor") or 0)
    more = begin + 2 < len(nodes)
    return {"pageInfo": {"hasNextPage": more, "endCursor": str(begin + 2) if more else None},
            "edges": nodes[begin:begin + 2]}


def artifact_file_urls(v, base):
    artifact = ARTIFACTS[v["id"]]
    nodes = [file_node(base, name, "artifact/%s/%s" % (artifact["id"], name)) for name in sorted(artifact["files"])]
    return {"artifact": {"files": page_of(nodes, v)}}


def artifact_file_urls_by_manifest_entries(v, base):
    nodes = [file_node(base, entry["name"], "artifact/%s/%s" % (v["id"], entry["name"])) for entry in v["entries"]]
    return {"artifact": {"filesByManifestEntries": {"pageInfo": {"hasNextPage": False, "endCursor": None},
                                                    "edges": nodes}}}


def project_exists(v):
    wanted = [v["entity"], v["project"]]
    return any([key[0], key[1]] == wanted for key in RUNS) or any(a["collection"][:2] == wanted
                                                                  for a in ARTIFACTS.values())


def artifact_membership_by_name(v, _):
    if not project_exists(v):
        return {"project": None}
    collection, _, reference = v["name"].partition(":")
    for artifact in ARTIFACTS.values():
        if artifact["collection"] == [v["entity"], v["project"], collection] and artifact["state"] == "COMMITTED" and (
                reference in artifact["aliases"] or reference == "v%d" % artifact["version"]):
            return {"project": {"artifactCollectionMembership": {"versionIndex": artifact["version"], "artifact": {
                key: artifact[key] for key in ("id", "digest", "state")}}}}
    return {"project": {"artifactCollectionMembership": None}}


def run_files(v, base):
    if not project_exists(v):
        return {"project": None}
    run = RUNS.get((v["entity"], v["project"], v["run"]))
    if run is None:
        return {"project": {"run": None}}
    nodes = [file_node(base, name, file_key(v, name)) for name in sorted(run["files"])]
    return {"project": {"run": {"files": page_of(nodes, v)}}}


def runs_named(v, _):
    if not project_exists(v):
        return {"project": None}
    wanted = json.loads(v["filters"])["display_name"]
    return {"project": {"runs": {"edges": [{"node": {"name": run["name"]}} for run in reversed(list(RUNS.values()))
                                           if [run["entity"], run["project"]] == [v["entity"], v["project"]] and
                                           run["displayName"] == wanted]}}}


def sampled_history_page(v, _):
    """Rows that have all keys of the spec, with these alone."""
    if not project_exists(v):
        return {"project": None}
    run = RUNS.get((v["entity"], v["project"], v["run"]))
    if run is None:
        return {"project": {"run": None}}
    keys = json.loads(v["spec"])["keys"]
    rows = [json.loads(row) for row in run["history"]]
    return {"project": {"run": {"sampledHistory": [
        [{key: row[key] for key in keys} for row in rows if all(key in row for key in keys)]]}}}


OPERATIONS = {
    "ArtifactFileURLs": artifact_file_urls,
    "ArtifactFileURLsByManifestEntries": artifact_file_urls_by_manifest_entries,
    "ArtifactManifest": artifact_manifest,
    "ArtifactMembershipByName": artifact_membership_by_name,
    # The Python package asks for this one before it logs an artifact.
    "ArtifactType": lambda v, base: {"project": {"artifact": None}},
    "CommitArtifact": commit_artifact,
    "CreateArtifact": create_artifact,
    "CreateArtifactFiles": create_artifact_files,
    "CreateArtifactManifest": create_artifact_manifest,
    "CreateRunFiles": create_run_files,
    "MarkRunFilesUploaded": lambda v, base: {"markRunFilesUploaded": {"success": True}},
    "OrganizationCoreWeaveOrganizationID": lambda v, base: {"entity": {"organization": None}},
    "RunFiles": run_files,
    "RunResumeStatus": run_resume_status,
    "RunsNamed": runs_named,
    "SampledHistoryPage": sampled_history_page,
    "ServerFeaturesQuery": lambda v, base: {"serverInfo": {"features": []}},
    "UpsertBucket": upsert_bucket,
    "Viewer": lambda v, base: {"viewer": {"id": identity("User"), "entity": DEFAULT_ENTITY, "username": "me",
                                          "email": "me@example", "flags": "{}", "teams": {"edges": []}}},
}


def stream(run, body):
    """What a run sends as it goes: lines of its files, each from a line on."""
    for name, part in (body.get("files") or {}).items():
        if name == "wandb-history.jsonl":
            run["history"][part["offset"]:] = part["content"]
        elif name == "wandb-events.jsonl":
            run["events"][part["offset"]:] = part["content"]
        elif name == "wandb-summary.json":
            run["summary"] = part["content"][-1]
        elif name == "output.log":
            for i, line in enumerate(part["content"]):
                run["output"][str(part["offset"] + i)] = line
    if body.get("preempting"):
        run["preempting"] = True
    if body.get("complete"):
        run["finished"], run["exit_code"] = True, body.get("exitcode")


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def body(self):
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            data = b""
            while size := int(self.rfile.readline().split(b";")[0], 16):
                data += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        return gzip.decompress(data) if self.headers.get("Content-Encoding") == "gzip" else data

    def reply(self, status, content, kind="application/json"):
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def fails(self, name):
        """Does what a fault of this name says; whether the request is dealt with."""
        with LOCK:
            take_seed()
            REQUESTS.append(name)
            action = fault(name)
            save_state()
        if action in (None, "wrong", "cut", "stall"):
            self.flaw = action
            return False
        if action == "die":
            os._exit(1)
        if action == "silence":
            time.sleep(3600)
        self.reply(int(action), {"errors": [{"message": "the test wants %s" % action}]})
        return True

    def do_POST(self):
        body = json.loads(self.body())
        base = "http://" + self.headers["Host"]
        wanted = "Basic " + base64.b64encode(("api:" + KEY).encode()).decode()
        if self.path == "/graphql":
            # Our own queries come without their name beside them.
            operation = body.get("operationName") or re.match(r"\s*\w+\s+(\w+)", body["query"]).group(1)
            if self.fails(operation):
                return
            if self.headers.get("Authorization") != wanted:
                return self.reply(401, {"errors": [{"message": "user is not logged in"}]})
            with LOCK:
                if operation not in OPERATIONS:
                    UNKNOWN.append(operation)
                    save_state()
                    return self.reply(200, {"data": None, "errors": [{"message": "unknown operation " + operation}]})
                data = OPERATIONS[operation](body.get("variables") or {}, base)
                save_state()
            return self.reply(200, {"data": data})
        parts = self.path.split("/")
        if len(parts) == 6 and parts[1] == "files" and parts[5] == "file_stream":
            if self.fails("file_stream"):
                return
            if self.headers.get("Authorization") != wanted:
                return self.reply(401, {"error": "user is not logged in"})
            with LOCK:
                stream(make_run(tuple(parts[2:5])), body)
                save_state()
            return self.reply(200, {"exitcode": None, "limits": {}})
        with LOCK:
            UNKNOWN.append("POST " + self.path)
            save_state()
        self.reply(404, {"error": "not found"})

    def do_PUT(self):
        data = self.body()
        if self.fails("PUT"):
            return
        name = self.path[len("/storage/"):]
        with LOCK:
            BLOBS[name] = data
            if name.startswith("run/"):
                _, entity, project, run, file = name.split("/", 4)
                make_run((entity, project, run))["files"].add(file)
            save_state()
        self.reply(200, b"")

    def do_GET(self):
        if self.fails("GET"):
            return
        with LOCK:
            data = BLOBS.get(urllib.parse.unquote(self.path[len("/storage/"):]))
        if data is None:
            return self.reply(404, {"error": "not found"})
        if self.flaw in ("cut", "stall"):
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data[:len(data) // 2])
            self.wfile.flush()
            if self.flaw == "stall":
                time.sleep(3600)
            self.close_connection = True
            return
        self.reply(200, b"something else" if self.flaw == "wrong" else data, "application/octet-stream")

    do_HEAD = do_GET


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def handle_error(self, request, address):
        pass  # a client that went away


server = Server(("127.0.0.1", int(sys.argv[2]) if len(sys.argv) > 2 else 0), Handler)
(FOLDER / "port.tmp").write_text(str(server.server_address[1]))
(FOLDER / "port.tmp").rename(FOLDER / "port")
server.serve_forever()
