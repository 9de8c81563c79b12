/** A log in a folder, made without a server: entries of key use, their payloads in a file beside the folder, and a checkpoint with both signatures. */
import { randomBytes, randomUUID } from 'node:crypto';
import { createWriteStream, mkdirSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { dirname, join } from 'node:path';
import {
  commitPayload,
  ed25519PublicKey,
  generateKey,
  mlDsa44PublicKey,
  signEd25519,
  signMlDsa44,
} from '@trialkeep/crypto';
import {
  bundlePath,
  cosigner,
  encodeBundle,
  formatCheckpoint,
  formatVerifierKey,
  keyId,
  leafHash,
  noteTypes,
  signNote,
  tilePath,
  Tree,
} from '@trialkeep/ledger';
import type { Tile } from '@trialkeep/ledger';
import { sha256 } from '@trialkeep/sdk/verify';

/** What an export calls its file of payloads. */
export const payloadsPath = 'payloads.jsonl';
const origin = 'bench.example/ledger/1';
const bundleWidth = 256;
/** Entries that are hashed into the tree at once. */
const entriesPerStep = 256 * bundleWidth;

/** One entry with its payload's line, members in the order of their names. */
function entryAt(index: number, time: number): { entry: Uint8Array; line: string } {
  const id = randomUUID();
  const blinding = randomBytes(32);
  const subject = String(index % 20_000).padStart(32, '0');
  const [key, study] = [index % 300, index % 20].map(
    (number) => `00000000-0000-4000-8000-${String(number).padStart(12, '0')}`,
  );
  const content = JSON.stringify({
    input: { context: { study, subject } },
    requestId: id,
    source: '192.0.2.1',
  });
  const idBytes = Buffer.from(id.replaceAll('-', ''), 'hex');
  const commitment = commitPayload(blinding, idBytes, Buffer.from(content)).toString('hex');
  const entry = {
    actor: study,
    class: 'ecg',
    commitment,
    entry: id,
    key,
    operation: 'keys.decrypt-data-key',
    outcome: 'success',
    payload: commitment,
    purpose: 'care',
    role: 'service',
    study,
    subject,
    system: key,
    time,
    v: 1,
    version: 1,
  };
  const line = { blinding: blinding.toString('base64'), content, entry: id, index, state: 'open' };
  return { entry: Buffer.from(JSON.stringify(entry)), line: `${JSON.stringify(line)}\n` };
}

/** Writes a log of `size` entries; gives its verifier keys. Nothing is flushed: it is read from the page cache. */
export async function makeLogFolder(folder: string, size: number): Promise<string[]> {
  const write = (path: string, content: Uint8Array): void => {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), content);
  };
  mkdirSync(folder, { recursive: true });
  const payloads = createWriteStream(join(folder, '..', payloadsPath));
  const tiles = new Map<string, Tile>();
  let tree = Tree.empty(sha256);
  const start = Date.now();
  while (tree.size < size) {
    const leaves: Uint8Array[] = [];
    const end = Math.min(size, tree.size + entriesPerStep);
    for (let first = tree.size; first < end; first += bundleWidth) {
      const count = Math.min(bundleWidth, end - first);
      const made = Array.from({ length: count }, (_, i) => entryAt(first + i, start + first + i));
      const entries = made.map(({ entry }) => entry);
      leaves.push(...entries.map((entry) => leafHash(sha256, entry)));
      write(bundlePath(first / bundleWidth, count), encodeBundle(entries));
      if (!payloads.write(made.map(({ line }) => line).join(''))) await once(payloads, 'drain');
    }
    const grown = tree.append(leaves);
    ({ tree } = grown);
    for (const tile of grown.tiles) tiles.set(`${tile.address.level}/${tile.address.index}`, tile);
  }
  for (const { address, hashes } of tiles.values()) write(tilePath(address), hashes);
  payloads.end();
  await once(payloads, 'close');
  const { note, verifierKeys } = await checkpointOf(tree);
  write('checkpoint', note);
  return verifierKeys;
}

async function checkpointOf(tree: Tree): Promise<{ note: Uint8Array; verifierKeys: string[] }> {
  const [ed25519, mlDsa44] = [generateKey('ED25519'), generateKey('ML_DSA_44')];
  const publicKeys = { ed25519: ed25519PublicKey(ed25519), mlDsa44: mlDsa44PublicKey(mlDsa44) };
  const signers = [
    {
      name: origin,
      keyId: keyId(sha256, origin, noteTypes.ed25519, publicKeys.ed25519),
      sign: (text: Uint8Array) => signEd25519(ed25519, text),
    },
    cosigner(sha256, {
      name: origin,
      type: noteTypes.mlDsa44,
      publicKey: publicKeys.mlDsa44,
      sign: (message) => signMlDsa44(mlDsa44, message),
      now: () => Math.floor(Date.now() / 1000),
    }),
  ];
  const text = formatCheckpoint({ origin, size: tree.size, root: tree.root() });
  const verifierKeys = [
    formatVerifierKey(sha256, origin, noteTypes.ed25519, publicKeys.ed25519),
    formatVerifierKey(sha256, origin, noteTypes.mlDsa44, publicKeys.mlDsa44),
  ];
  return { note: await signNote(text, signers), verifierKeys };
}
