// A whole rollup in another process and another language: a key-value store that proves its
// answers against a block's hash, driven by a node over gRPC (docs/spec/execution.md). A
// transaction is {"key":"k","version":1,"value":"v"}; each version follows the last.
import { createHash, randomUUID } from "node:crypto";
import fs from "node:fs";
import http from "node:http";
import type { AddressInfo } from "node:net";
import path from "node:path";
import { parseArgs } from "node:util";
import * as grpc from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import { proof, root, type Write } from "./merkle.js";

const { values: flags } = parseArgs({
  options: {
    data: { type: "string", default: "kv-data" },
    name: { type: "string", default: "kv" },
    "chain-id": { type: "string", default: "ordo-devnet-1" },
    "start-height": { type: "string", default: "1" },
    listen: { type: "string", default: "127.0.0.1:50051" },
    http: { type: "string", default: "127.0.0.1:8601" },
    proto: { type: "string", default: path.join(import.meta.dirname, "../../execution/astria/proto") },
  },
});
const maxWrites = 1000; // bounds what a block may cost: a rule of the chain

type Time = { seconds: number; nanos: number };
type Block = { number: number; hash: string; parent_hash: string; root: string; timestamp: Time; sequencer_block_hash: string };

const sha256 = (text: string) => createHash("sha256").update(text).digest();

// The state, and what of the chain the node may still ask for. It comes from a log: one line
// for each step, on disk before the step is answered.
const store = new Map<string, Write>();
const genesis: Block = { number: 0, hash: sha256("kv").toString("hex"), parent_hash: "", root: "", timestamp: { seconds: 0, nanos: 0 }, sequencer_block_hash: "" };
const blocks = new Map([[0, genesis]]);
let soft = genesis;
let firm = genesis;
type Step = { block?: Block; writes?: Write[]; firm?: number };

function take(step: Step) {
  for (const w of step.writes ?? []) store.set(w.key, w);
  if (step.block) blocks.set(step.block.number, (soft = step.block));
  if (step.firm !== undefined) {
    for (let n = firm.number; n < step.firm; n++) blocks.delete(n);
    firm = blocks.get(step.firm)!;
  }
}

fs.mkdirSync(flags.data, { recursive: true });
const log = fs.openSync(path.join(flags.data, "log"), "a+");
const text = fs.readFileSync(log);
const whole = text.lastIndexOf("\n") + 1; // a crash may have cut off the last line
fs.ftruncateSync(log, whole);
for (const line of text.toString("utf8", 0, whole).split("\n")) if (line) take(JSON.parse(line));

function keep(step: Step) {
  fs.writeSync(log, JSON.stringify(step) + "\n");
  fs.fsyncSync(log);
  take(step);
}

const refuse = (code: grpc.status, message: string) => Object.assign(new Error(message), { code });

// parse returns a write, or undefined for whatever else somebody had ordered.
function parse(tx: Buffer): Write | undefined {
  try {
    const { key, version, value } = JSON.parse(tx.toString());
    if (typeof key === "string" && Number.isSafeInteger(version) && typeof value === "string") return { key, version, value };
  } catch {}
  return undefined;
}

let session = "";
let done: { block: Block; writes: Write[] } | undefined; // executed, not committed

const same = (session_id: string) => {
  if (session === "" || session_id !== session) throw refuse(grpc.status.PERMISSION_DENIED, "not the current session");
};
const state = () => ({ soft_executed_block_metadata: soft, firm_executed_block_metadata: firm, lowest_celestia_search_height: 0 });

const service = {
  CreateExecutionSession() {
    [session, done] = [randomUUID(), undefined];
    const execution_session_parameters = {
      rollup_id: { inner: sha256(flags.name) },
      rollup_start_block_number: 1,
      sequencer_chain_id: flags["chain-id"],
      sequencer_start_block_height: Number(flags["start-height"]),
    };
    return { session_id: session, execution_session_parameters, commitment_state: state(), ordo_tells_skipped: true };
  },

  GetExecutedBlockMetadata({ identifier }: any) {
    const found = identifier?.hash ? [...blocks.values()].find((b) => b.hash === identifier.hash) : blocks.get(identifier?.number ?? 0);
    if (!found) throw refuse(grpc.status.NOT_FOUND, "no such block");
    return found;
  },

  ExecuteBlock({ session_id, parent_hash, transactions, timestamp, sequencer_block_hash }: any) {
    same(session_id);
    if (parent_hash !== soft.hash) throw refuse(grpc.status.FAILED_PRECONDITION, `the soft block is ${soft.hash}`);
    const written = new Map<string, Write>();
    const ordo_skipped: object[] = [];
    const writes: Write[] = [];
    transactions.forEach(({ sequenced_data }: any, index: number) => {
      const w = sequenced_data && parse(sequenced_data);
      const last = w && (written.get(w.key) ?? store.get(w.key))?.version;
      const full = writes.length === maxWrites;
      if (!w || w.version !== (last ?? 0) + 1 || full) {
        ordo_skipped.push({ index, reason: "not a write of the next version, or the block is full", retry: full });
        return;
      }
      written.set(w.key, w);
      writes.push(w);
    });
    const { seconds, nanos } = timestamp;
    const late = seconds > soft.timestamp.seconds || (seconds === soft.timestamp.seconds && nanos >= soft.timestamp.nanos);
    const at: Time = late ? { seconds, nanos } : soft.timestamp; // time never falls
    const state = root(new Map([...store, ...written])).toString("hex");
    const hash = sha256([soft.hash, sequencer_block_hash, at.seconds, at.nanos, state].join()).toString("hex");
    done = { block: { number: soft.number + 1, hash, parent_hash: soft.hash, root: state, timestamp: at, sequencer_block_hash }, writes };
    return { executed_block_metadata: done.block, ordo_skipped };
  },

  UpdateCommitmentState({ session_id, commitment_state: want }: any) {
    same(session_id);
    const [newSoft, newFirm] = [want?.soft_executed_block_metadata, want?.firm_executed_block_metadata];
    const moves = newSoft?.hash !== soft.hash;
    if (moves && newSoft?.hash !== done?.block.hash) throw refuse(grpc.status.FAILED_PRECONDITION, "soft cannot go there");
    const above = moves && newFirm?.hash === done?.block.hash ? done?.block : blocks.get(newFirm?.number);
    if (!above || above.hash !== newFirm?.hash || above.number < firm.number) throw refuse(grpc.status.FAILED_PRECONDITION, "firm cannot go there");
    if (moves) keep(done!);
    if (above.number > firm.number) keep({ firm: above.number });
    if (moves) done = undefined;
    return state();
  },
};

type Call = { request: unknown };
type Done = (error: unknown, answer?: object) => void;
const unary = (method: (request: any) => object) => (call: Call, answer: Done) => {
  try {
    answer(null, method(call.request));
  } catch (error) {
    answer(error);
  }
};

const definition = loadSync("astria/execution/v2/execution.proto", { includeDirs: [flags.proto], keepCase: true, longs: Number, defaults: true, oneofs: true });
const proto = grpc.loadPackageDefinition(definition) as any;
const methods = Object.entries(service).map(([name, method]) => [name, unary(method)]);
const server = new grpc.Server({ "grpc.max_receive_message_length": 128 << 20 });
server.addService(proto.astria.execution.v2.ExecutionService.service, Object.fromEntries(methods) as grpc.UntypedServiceImplementation);
server.bindAsync(flags.listen, grpc.ServerCredentials.createInsecure(), (error, port) => {
  if (error) throw error;
  console.log(`execution on grpc://${flags.listen.replace(/:\d+$/, "")}:${port}, block ${soft.number}`);
});

// GET /?key=<key> answers with the key's last write, the block, and the proof.
const [host, port] = flags.http.split(":");
const door = http.createServer((request, response) => {
  const key = new URL(request.url ?? "/", "http://kv").searchParams.get("key") ?? "";
  const write = store.get(key);
  response.writeHead(write ? 200 : 404, { "content-type": "application/json" });
  response.end(JSON.stringify(write ? { write, block: soft, proof: proof(store, key) } : { error: "no such key" }));
});
door.listen(Number(port), host, () => console.log(`proofs on http://${host}:${(door.address() as AddressInfo).port}`));
