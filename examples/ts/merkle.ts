// A Merkle tree over the store, sorted by key. It is built anew for each block, which is
// what makes it short: a store of millions wants a tree that keeps its inner nodes.
import { createHash } from "node:crypto";

export type Write = { key: string; version: number; value: string };
export type Step = { left: boolean; hash: string }; // the sibling, and whether it stands left

const hash = (kind: number, ...parts: Buffer[]) => createHash("sha256").update(Buffer.concat([Buffer.of(kind), ...parts])).digest();
const leaf = ({ key, version, value }: Write) => hash(0, Buffer.from(JSON.stringify([key, version, value])));
const sorted = (store: Map<string, Write>) => [...store.values()].sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));

// above pairs the nodes of a level; an odd last one moves up as it is.
const above = (level: Buffer[]) =>
  Array.from({ length: Math.ceil(level.length / 2) }, (_, i) => (2 * i + 1 < level.length ? hash(1, level[2 * i]!, level[2 * i + 1]!) : level[2 * i]!));

export function root(store: Map<string, Write>): Buffer {
  let level: Buffer[] = sorted(store).map(leaf);
  while (level.length > 1) level = above(level);
  return level[0] ?? hash(2);
}

export function proof(store: Map<string, Write>, key: string): Step[] {
  const entries = sorted(store);
  let level: Buffer[] = entries.map(leaf);
  let at = entries.findIndex((w) => w.key === key);
  const steps: Step[] = [];
  for (; level.length > 1; level = above(level), at >>= 1) {
    const sibling = level[at ^ 1];
    if (sibling) steps.push({ left: at % 2 === 1, hash: sibling.toString("hex") });
  }
  return steps;
}

// verify says whether the root stands for the write.
export function verify(root: string, w: Write, steps: Step[]): boolean {
  const join = (at: Buffer, { left, hash: other }: Step) => (left ? hash(1, Buffer.from(other, "hex"), at) : hash(1, at, Buffer.from(other, "hex")));
  return steps.reduce(join, leaf(w)).toString("hex") === root;
}
