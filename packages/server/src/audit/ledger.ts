import type { Clock } from '../platform/clock.ts';
import type { Database, Tx } from '../platform/database.ts';
import type { Hierarchy } from '../keys/index.ts';
import type { OperationError } from '../platform/errors.ts';
import { idBytes } from '../platform/ids.ts';
import { ensure } from '../platform/jobs/index.ts';
import { AnchorFolder, LogAnchor } from './anchor.ts';
import { Appender } from './appender.ts';
import { entryBytes, sealDraft } from './entry.ts';
import { checkpointJob } from './checkpoint-job.ts';
import type { Draft } from './entry.ts';
import { RollbackWatch } from './rollback.ts';
import * as store from './store.ts';
import { compareWithAnchor } from './compare-with-anchor.ts';
import { LogKeys, logKeyAlgorithms, newLogKey } from './log-keys/keys.ts';
import { insertLogKeys, logKeys } from './log-keys/store.ts';
import { TransparencyLog, emptyRoot } from './transparency-log.ts';

/** What the ledger tells the server's own log. */
export interface LedgerNotes {
  warn(details: object, message: string): void;
}

/** A new log that the caller's transaction still has to store. */
export interface NewLog {
  /** Of its Ed25519 key. */
  readonly verifierKey: string;
  /** Stores the log with its first entry; `opened` makes it known, once the transaction has committed. */
  store(
    tx: Tx,
    time: number,
    genesis: Draft,
    payload: object,
  ): Promise<{ log: number; opened: () => Promise<void> }>;
}

/** What the ledger is built from. */
export interface LedgerParts {
  readonly database: Database;
  readonly hierarchy: Hierarchy;
  readonly clock: Clock;
  readonly anchorFolder: string;
  readonly notes: LedgerNotes;
  /** Told once when the database was put back underneath: no key may be used any more, and the process must end. */
  readonly onRolledBack?: (reason: string) => void;
}

/** See {@link Ledger.present}. */
export type PresentCheckpoint = (id: number, covering?: number) => Promise<Uint8Array>;

/** Every log of the instance: appending, checkpoints, the anchor of this node. */
export class Ledger {
  readonly appender: Appender;
  readonly #database: Database;
  readonly #hierarchy: Hierarchy;
  readonly #clock: Clock;
  readonly #anchor: AnchorFolder;
  readonly #notes: LedgerNotes;
  readonly #watch: RollbackWatch;
  readonly #logs = new Map<number, TransparencyLog>();
  readonly #opening = new Map<number, Promise<TransparencyLog>>();
  #present: PresentCheckpoint = (id, covering) => this.#presentOwn(id, covering);

  constructor(parts: LedgerParts) {
    this.#database = parts.database;
    this.#hierarchy = parts.hierarchy;
    this.#clock = parts.clock;
    this.#anchor = new AnchorFolder(parts.anchorFolder);
    this.#notes = parts.notes;
    this.#watch = new RollbackWatch(parts.onRolledBack);
    this.appender = new Appender(parts.database, parts.clock, this.#watch);
  }

  /** Opens every log, catches its tree up, and says where the database is behind or beside the anchor. */
  async openAll(): Promise<string[]> {
    await this.refresh();
    for (const log of this.logs) await log.integrate();
    return compareWithAnchor(this.logs, this.#anchor.read(), this.#database.dialect === 'postgres');
  }

  /** Opens what other nodes have made since. */
  async refresh(): Promise<void> {
    const ids = await this.#database.read((snapshot) => store.logIds(snapshot));
    for (const id of ids) await this.open(id);
  }

  /** Returns once no append waits. */
  async stop(): Promise<void> {
    await this.appender.idle();
  }

  /** The log, also where another node has made it since. Throws where there is none. */
  async open(id: number): Promise<TransparencyLog> {
    const known = this.#logs.get(id) ?? this.#opening.get(id);
    if (known !== undefined) return known;
    const opening = this.#open(id).finally(() => this.#opening.delete(id));
    this.#opening.set(id, opening);
    return opening;
  }

  /** A log that is open already, as every caller's is. */
  log(id: number): TransparencyLog {
    const log = this.#logs.get(id);
    if (log === undefined) throw new Error(`Log ${id} is not open.`);
    return log;
  }

  /** The instance's own log. */
  get instanceLog(): TransparencyLog {
    const log = this.logs.find(({ tenant }) => tenant === null);
    if (log === undefined) throw new Error('The instance has no log.');
    return log;
  }

  /** Every log that is open. */
  get logs(): readonly TransparencyLog[] {
    return [...this.#logs.values()];
  }

  /** The tenant's log among those that are open. */
  logOfTenant(tenant: string): TransparencyLog | undefined {
    return this.logs.find((log) => log.tenant === tenant);
  }

  /** The tenant's log, also where another node has made it since. */
  async openOfTenant(tenant: string): Promise<TransparencyLog | undefined> {
    if (this.logOfTenant(tenant) === undefined) await this.refresh();
    return this.logOfTenant(tenant);
  }

  /**
   * Signs and anchors a checkpoint of the log now; the newest one where nothing was added.
   *
   * @param alongside runs in the transaction that stores the checkpoint
   */
  async anchorNow(id: number, alongside?: (tx: Tx) => Promise<void>): Promise<Uint8Array> {
    return (await this.open(id)).checkpoint(this.#clock.now(), alongside);
  }

  /** Has the checkpoints that leave the server chosen by whoever has them cosigned. */
  presentWith(choose: PresentCheckpoint): void {
    this.#present = choose;
  }

  /**
   * The checkpoint that leaves the server, with the signatures of others that there are: the newest, or any that covers entry
   * `covering` where one is asked for.
   *
   * @throws OperationError `ledger.unwitnessed` where the entry has to be witnessed first
   */
  present(id: number, covering?: number): Promise<Uint8Array> {
    return this.#present(id, covering);
  }

  /** Entries of the log that this process knows to be committed; 0 where it knows of none yet. */
  knownSize(id: number): number {
    return this.#watch.known(id);
  }

  /** Somebody outside has shown that the database was put back: nothing is released any more. Gives what callers are told. */
  reportRolledBack(reason: string): OperationError {
    return this.#watch.report(reason);
  }

  /** As it is where nobody cosigns: the newest stored checkpoint that covers the entry, or one that is signed now. */
  async #presentOwn(id: number, covering?: number): Promise<Uint8Array> {
    const newest = covering === undefined ? undefined : await (await this.open(id)).newestCheckpoint();
    if (newest !== undefined && covering !== undefined && covering < newest.size) return newest.note;
    return this.anchorNow(id);
  }

  /**
   * Looks at every log, about once a second and never in recovery, where a new checkpoint would fork the log: what has grown
   * gets a job for its checkpoint, what other nodes have signed gets into this node's anchor, and a log that has become shorter
   * is reported. Derived from the stored state alone, so that nothing is lost with a process. What fails is tried again.
   */
  async poll(): Promise<void> {
    const known = new Map(this.logs.map(({ id }) => [id, this.#watch.known(id)]));
    const found = await this.#database.read((snapshot) => store.allProgress(snapshot, this.#clock));
    for (const { log, size } of found) {
      this.#watch.compare(log, size, known.get(log) ?? 0);
      this.#watch.saw(log, size);
    }
    for (const { log: id, size, checkpointSize, time } of found) {
      try {
        const log = await this.open(id);
        if (checkpointSize < size) {
          await this.#database.write((tx) => ensure(tx, checkpointJob(id, time)));
        }
        if (checkpointSize > log.anchor.size) await log.follow();
      } catch (error) {
        this.#watch.assertSound();
        this.#notes.warn({ log: id, error: String(error) }, 'A log could not be followed; trying again.');
      }
    }
  }

  /** Prepares a log: `owner` is what wraps its payload key, before the tenant's key can be looked up. */
  newLog(origin: string, tenant: string | null, owner: Parameters<Hierarchy['newPayloadKey']>[1]): NewLog {
    const keys = logKeyAlgorithms.map((algorithm) =>
      newLogKey(this.#hierarchy, { origin, tenant }, algorithm),
    );
    const payloadKey = this.#hierarchy.newPayloadKey(tenant, owner);
    return {
      verifierKey: keys[0]?.verifier_key ?? '',
      store: async (tx, time, genesis, payload) => {
        const row = await store.insertLog(
          tx,
          {
            tenant,
            origin,
            payload_key_version: payloadKey.versionId,
            wrapped_payload_key: payloadKey.wrapped,
          },
          { size: 1, time, root: emptyRoot },
        );
        await insertLogKeys(
          tx,
          keys.map((key) => ({ ...key, log: row.id, from_size: 0 })),
        );
        const compact = this.#hierarchy.openPayloadKey(tenant, owner, payloadKey);
        const draft = sealDraft(genesis, origin, payload, compact);
        const bytes = entryBytes(draft, time, undefined);
        await store.insertEntries(tx, row.id, 0, [{ bytes, ciphertext: draft.ciphertext }]);
        const opened = async (): Promise<void> => {
          await this.anchorNow(row.id);
        };
        return { log: row.id, opened };
      },
    };
  }

  /** Goes on with the payload key that the log has now, where it was given another. */
  async renewPayloadKey(id: number): Promise<void> {
    const log = await this.open(id);
    const row = await this.#database.read((snapshot) => store.findLog(snapshot, id));
    if (row === undefined) return;
    if (Buffer.compare(log.payloadKey.keyVersionId, idBytes(row.payload_key_version)) === 0) return;
    const owner = await this.#hierarchy.ownerKey(row.tenant);
    const stored = { versionId: row.payload_key_version, wrapped: row.wrapped_payload_key };
    log.takePayloadKey(this.#hierarchy.openPayloadKey(row.tenant, owner, stored));
  }

  async #open(id: number): Promise<TransparencyLog> {
    const { row, keys } = await this.#database.read(async (snapshot) => ({
      row: await store.findLog(snapshot, id),
      keys: await logKeys(snapshot, id),
    }));
    if (row === undefined) throw new Error(`There is no log ${id}.`);
    const { tenant } = row;
    const owner = await this.#hierarchy.ownerKey(tenant);
    const payloadKey = { versionId: row.payload_key_version, wrapped: row.wrapped_payload_key };
    // A log that is made before something that the instance's log has recorded is anchored before that is.
    const before = tenant === null ? () => this.#anchorTenants() : undefined;
    const log = await TransparencyLog.open({
      row,
      database: this.#database,
      watch: this.#watch,
      anchor: new LogAnchor(this.#anchor, row.origin, before),
      keys: new LogKeys(this.#hierarchy, row, keys),
      payloadKey: this.#hierarchy.openPayloadKey(tenant, owner, payloadKey),
    });
    this.#logs.set(id, log);
    return log;
  }

  /** Anchors every tenant's log that this node has never anchored. */
  async #anchorTenants(): Promise<void> {
    await this.refresh();
    for (const log of this.logs) {
      if (log.tenant !== null && log.anchor.size === 0) await this.anchorNow(log.id);
    }
  }
}
