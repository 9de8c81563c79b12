import { join } from 'node:path';
import { isKeyChange, isKeyUse, KeyHistory } from '@trialkeep/contract';
import type { KeyAsOf, KeyEntry } from '@trialkeep/contract';
import { openRegularFile, payloadsPath } from '../verify/folder.ts';
import { verifyFolder } from '../verify/index.ts';
import type { VerifyFolderOptions, VerifyFolderResult } from '../verify/index.ts';
import { readLines } from '../verify/lines.ts';
import { parsePayloadLine } from '../verify/payload-line.ts';
import type { PayloadLine } from '../verify/payload-line.ts';

export interface InventoryOfExportOptions extends Pick<
  VerifyFolderOptions,
  'verifierKey' | 'policy' | 'onProgress'
> {
  /** An export of the whole log of a tenant; with payloads, without which dates and algorithms are not told. */
  readonly folder: string;
  /** ms since 1970; what came later is passed over. */
  readonly asOf: number;
}

export interface ExportInventory {
  /** In the order of their making. */
  readonly keys: readonly KeyAsOf[];
  /** Entries that are of the time: those before this index. */
  readonly size: number;
  /** Whether the export has entries behind the time, so that none of the time can be missing. */
  readonly reaches: boolean;
  /** Whether the export verifies. The keys are worth nothing otherwise. */
  readonly log: VerifyFolderResult;
}

/**
 * The keys that there were at a time, made from an exported ledger without asking anybody: the same fold of the same entries as the
 * server's `inventory.as-of`. Memory grows with the keys, not with the ledger.
 *
 * @throws TrialkeepError and LedgerError as `verifyFolder`
 */
export async function inventoryOfExport(options: InventoryOfExportOptions): Promise<ExportInventory> {
  const { asOf, ...where } = options;
  const payloads = await Payloads.open(where.folder);
  const histories = new Map<string, KeyHistory>();
  let size = 0;
  let reaches = false;
  try {
    const log = await verifyFolder({
      ...where,
      onEntry: async (index, bytes) => {
        const entry = JSON.parse(Buffer.from(bytes).toString('utf8')) as KeyEntry;
        reaches ||= entry.time > asOf;
        if (reaches) return;
        size = index + 1;
        const { key } = entry;
        if (key === undefined) return;
        if (isKeyUse(entry)) histories.get(key)?.use(entry.time, index);
        if (!isKeyChange(entry)) return;
        const history = histories.get(key) ?? new KeyHistory(key);
        histories.set(key, history);
        history.change(entry, await payloads.of(index));
      },
    });
    const keys = [...histories.values()].flatMap((history) => history.at(asOf) ?? []);
    return { keys, size, reaches, log };
  } finally {
    await payloads.close();
  }
}

/** The payloads of an export beside its entries, both in the order of the log. That they are the right ones is verified with the export. */
class Payloads {
  readonly #lines: AsyncGenerator<string | undefined> | undefined;
  #next: PayloadLine | undefined;

  private constructor(lines: AsyncGenerator<string | undefined> | undefined) {
    this.#lines = lines;
  }

  static async open(folder: string): Promise<Payloads> {
    const file = await openRegularFile(join(folder, payloadsPath));
    const payloads = new Payloads(file && readLines(file));
    await payloads.#advance();
    return payloads;
  }

  /** The payload of an entry, parsed; undefined where it cannot be read. Indexes ascend from call to call. */
  async of(index: number): Promise<unknown> {
    while (this.#next !== undefined && this.#next.index < index) await this.#advance();
    const line = this.#next;
    return line?.index === index && line.state === 'open' ? (JSON.parse(line.content) as unknown) : undefined;
  }

  async close(): Promise<void> {
    await this.#lines?.return(undefined);
  }

  async #advance(): Promise<void> {
    const next = await this.#lines?.next();
    const line = next?.done === true ? undefined : next?.value;
    this.#next = line === undefined ? undefined : parsePayloadLine(line);
  }
}
