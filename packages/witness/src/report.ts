import { originHash } from './primitives.ts';
import { readIdentity, type Role } from './keys.ts';
import { listLogs } from './logs.ts';
import { requireRole, stateFile } from './serve.ts';
import { State, type KnownCheckpoint } from './state.ts';

/** Reads what a running process may be writing. */
function reading<T>(folder: string, role: Role, read: (state: State) => T): T {
  requireRole(folder, role);
  const state = State.open(stateFile(folder), { readOnly: true });
  try {
    return read(state);
  } finally {
    state.close();
  }
}

/** Who this is, and of every log: its keys, the latest checkpoint, and of a mirror how far the copy has come. */
export function report(folder: string, role: Role): object {
  const { name, verifierKeys } = readIdentity(folder);
  return reading(folder, role, (state) => ({
    name,
    verifierKeys,
    conflicts: state.conflicts().length,
    logs: listLogs(folder).map(({ origin, keys }) => {
      const head = state.head(origin);
      const copy = state.copy(origin);
      return {
        origin,
        originHash: originHash(origin),
        keys,
        size: head?.size ?? null,
        root: head === undefined ? null : base64(head.root),
        cosignedAt: role === 'witness' && head !== undefined ? head.time * 1000 : null,
        ...(role === 'mirror' && {
          nextEntry: copy.nextEntry,
          copiedSize: copy.note === null ? null : copy.size,
          copiedAt: copy.note === null ? null : copy.time * 1000,
          copy: `logs/${originHash(origin)}`,
        }),
      };
    }),
  }));
}

/** The contradictions that were noticed, with the checkpoints that prove them. */
export function conflicts(folder: string, role: Role): object {
  const shown = ({ size, root, note }: KnownCheckpoint): object => ({
    size,
    root: base64(root),
    checkpoint: Buffer.from(note).toString('utf8'),
  });
  return reading(folder, role, (state) => ({
    conflicts: state.conflicts().map(({ id, origin, kind, older, newer, proof, recordedMs }) => ({
      id,
      origin,
      kind,
      recordedAt: recordedMs,
      older: shown(older),
      newer: shown(newer),
      proof: proof === '' ? [] : proof.split('\n'),
    })),
  }));
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64');
}
