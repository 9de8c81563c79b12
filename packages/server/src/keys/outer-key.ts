import {
  openCompact,
  openCompactRemote,
  openDataKey,
  openDataKeyRemote,
  sealCompact,
  sealCompactRemote,
  sealDataKey,
  sealDataKeyRemote,
} from '@trialkeep/crypto';
import type { CompactKey, EncryptionContext } from '@trialkeep/crypto';
import { isResident, remoteKeyOf } from './in-token.ts';
import { compactKeyOf } from './permitted.ts';
import type { PermittedKey, UseParts } from './permitted.ts';
import type { KeyVersion } from './store.ts';

interface Sealing {
  readonly context: EncryptionContext;
  readonly plaintext: Uint8Array;
}
interface Opening {
  readonly context: EncryptionContext;
  readonly ciphertext: Uint8Array;
}
interface Within {
  readonly context: EncryptionContext;
  readonly inner: CompactKey | undefined;
}

/** The outer layer of what a system's key encrypts: under a key that is here, or with the help of the HSM that it stays in. */
export interface OuterKey {
  seal(what: Sealing): Promise<Buffer>;
  open(what: Opening): Promise<Buffer>;
  sealDataKey(what: Within & { readonly dataKey: Uint8Array }): Promise<Buffer>;
  openDataKey(what: Within & { readonly ciphertext: Uint8Array }): Promise<Buffer>;
}

export async function outerKeyOf(parts: UseParts, key: PermittedKey, version: KeyVersion): Promise<OuterKey> {
  if (isResident(version)) {
    const remote = await remoteKeyOf(parts, key, version);
    return {
      seal: (what) => sealCompactRemote({ ...remote, ...what }),
      open: (what) => openCompactRemote({ ...remote, ...what }),
      sealDataKey: (what) => sealDataKeyRemote({ ...what, outer: remote }),
      openDataKey: (what) => openDataKeyRemote({ ...what, outer: remote }),
    };
  }
  const here = await compactKeyOf(parts, key, version);
  return {
    seal: async (what) => sealCompact({ ...here, ...what }),
    open: async (what) => openCompact({ ...here, ...what }),
    sealDataKey: async (what) => sealDataKey({ ...what, outer: here }),
    openDataKey: async (what) => openDataKey({ ...what, outer: here }),
  };
}
