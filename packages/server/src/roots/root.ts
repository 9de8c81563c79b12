import type { KeyObject } from 'node:crypto';
import type { KeyPlace } from '@trialkeep/crypto';
import { Type } from 'typebox';

/** The kinds of module that can hold the root. */
export const rootKinds = ['passphrase', 'pkcs11', 'aws-kms', 'azure-key-vault', 'shares'] as const;
export type RootKind = (typeof rootKinds)[number];

/** What a module says of itself; the status page and the inventory show it. */
export interface CryptographicModule {
  readonly manufacturer: string;
  readonly model: string;
  /** Version of hardware, firmware or service, as the module tells it. */
  readonly version: string;
  /** Serial number of the token, or name of the key in the service; no secret. */
  readonly key?: string;
}

/** What unwraps the instance key: one interface for every kind of module that can hold the root. */
export interface RootOfTrust {
  /** Tells one root from another; the database names the root that it belongs to. */
  readonly id: string;
  readonly kind: RootKind;
  /** The module that holds it, where that is not this process. */
  readonly module?: CryptographicModule;
  /**
   * Wraps a key for its place. Inside is the typed structure of docs/formats/wrapped-key.md, also where the module's own wrap
   * has authenticated data.
   *
   * @throws StartupError `root.unreachable`, `root.refused`, `root.key_gone`
   */
  wrap(place: KeyPlace, key: KeyObject): Promise<Uint8Array>;
  /**
   * Gives back what `wrap` was given for the same place.
   *
   * @throws StartupError `root.wrong` (of a passphrase `root.passphrase_wrong`) for what this root did not wrap for this place,
   *   or what was altered; `root.unreachable`, `root.refused`, `root.key_gone`
   */
  unwrap(place: KeyPlace, wrapped: Uint8Array): Promise<KeyObject>;
  /**
   * Asks the module whether it answers and still has the key.
   *
   * @throws StartupError `root.unreachable`, `root.refused`, `root.key_gone`
   */
  check(): Promise<void>;
  /** Ends sessions and threads; what is under way may fail. May be called twice. */
  close(): Promise<void>;
}

/** What `root.json` holds for every kind; the settings of the kind stand beside it, and never a secret. */
export const rootHead = {
  format: Type.Literal(1),
  /** Random (UUID): of this root, not of the module. */
  id: Type.String({ pattern: '^[0-9a-f-]{36}$' }),
  /** Number of the module's CMVP certificate as the operator recorded it (URS-001). */
  certificate: Type.Optional(Type.String({ pattern: '^#?[0-9]{1,6}$' })),
};

/** What the operator says of a new root: its kind and the kind's own settings, which its maker checks. Never a secret. */
export interface RootSettings {
  readonly kind: RootKind;
  readonly [setting: string]: unknown;
}

/** What opening needs beside `root.json`. */
export interface RootOpening {
  /** Where the kind's secret files (passphrase, PIN) lie unless something else names them; a restore opens a copy without them. */
  readonly secretsFolder: string;
  /**
   * Whether the installation is made, started or restored with this root: of this one the environment may name the secret's file.
   * Roots that are opened beside it have secrets of their own.
   */
  readonly isFirst: boolean;
}

/** One kind of root: what roots/<kind> gives to open.ts. */
export interface RootMaker {
  /** Makes the key in the module, and writes `root.json` into the folder, which is there. */
  create(folder: string, settings: RootSettings, opening: RootOpening): Promise<RootOfTrust>;
  /** Opens what the folder's `root.json` describes. */
  open(folder: string, opening: RootOpening): Promise<RootOfTrust>;
}
