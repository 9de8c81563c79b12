import { inventoryOrders, keyAlgorithms, keyStates, operations, pagesOf } from '@trialkeep/sdk/client';
import type { Caller, Input, Operations, Output } from '@trialkeep/sdk/client';
import { csvField, inventoryOfExport } from '@trialkeep/sdk/entries';
import { Option } from 'commander';
import type { Command } from 'commander';
import { CliError } from '../errors.ts';
import { withOutput } from '../entry-output.ts';
import { Exit } from '../io.ts';
import type { Io } from '../io.ts';
import { isoTime, printable, say } from '../output.ts';
import { startProgress } from '../progress.ts';
import { connect } from '../session.ts';
import type { SessionOptions } from '../session.ts';
import { addServerVerb, gather, parseInteger, parseTime } from '../verb.ts';

type Find = Input<Operations['inventory.find']>;
type LiveKey = Output<Operations['inventory.find']>['keys'][number];

interface InventoryOptions extends SessionOptions {
  readonly system?: string;
  readonly vendor?: string;
  readonly study?: string;
  readonly state?: NonNullable<Find['state']>;
  readonly algorithm?: NonNullable<Find['algorithm']>;
  readonly purpose?: string;
  readonly overdue?: true;
  readonly expiresWithin?: number;
  readonly unusedSince?: number;
  readonly text?: string;
  readonly order?: NonNullable<Find['order']>;
  readonly asOf?: number;
  readonly ledger?: string;
  readonly key?: readonly string[];
  readonly csv?: true;
  readonly out?: string;
  readonly overwrite?: true;
}

/** A key as it is shown, of now or of a past day; what a past day does not tell is missing. */
type ShownKey = Partial<Pick<LiveKey, 'arn' | 'tenant' | 'systemName' | 'vendor' | 'module'>> &
  Omit<Output<Operations['inventory.as-of']>['keys'][number], 'arn' | 'tenant' | 'told' | 'revocation'> & {
    readonly told?: boolean;
    readonly revocation: { readonly cause: string; readonly at: number } | null;
  };

/** Keys, some at a time, with where they come from. */
interface Shown {
  readonly asOf?: number;
  readonly origin: string;
  readonly size: number;
  readonly keys: readonly ShownKey[];
}

const keysPerPage = 1000;

export function register(program: Command, io: Io): void {
  addServerVerb(program, 'inventory', operations['inventory.find'].summary)
    .option('--system <id>', 'keys of this system')
    .option('--vendor <name>', 'keys of systems of this vendor')
    .option('--study <id>', 'keys that were used for this study')
    .addOption(new Option('--state <state>', 'keys in this state').choices(keyStates))
    .addOption(new Option('--algorithm <name>', 'keys of this algorithm').choices(keyAlgorithms))
    .option('--purpose <purpose>', 'keys for this purpose')
    .option('--overdue', 'keys whose rotation was due')
    .option('--expires-within <days>', 'keys that end to protect within so many days', parseInteger(1, 3650))
    .option('--unused-since <date>', 'keys that were not used at or after this time', parseTime)
    .option('--text <text>', 'keys whose description has this in it')
    .addOption(new Option('--order <order>', 'in which order').choices(inventoryOrders))
    .option('--as-of <date>', 'the keys that there were at this time, out of the ledger alone', parseTime)
    .option('--ledger <folder>', 'with --as-of: out of this export of the ledger, offline')
    .option('--key <vkey>', "with --ledger: the log's verifier key, from a trusted place", gather)
    .option('--csv', 'RFC 4180, with what a spreadsheet would run as a formula made harmless')
    .option('--out <file>', 'where to write it, whole or not at all; standard output otherwise')
    .option('--overwrite', 'replace an existing file')
    .addHelpText(
      'after',
      '\nThe last use is the newest that the ledger has. As of a past day only --system and --state narrow the list.\n' +
        'With --ledger nobody is asked; export with payloads, which tell dates and algorithms, and exit status 0 only where the export verifies.',
    )
    .action(async (options: InventoryOptions) => {
      checkOptions(options);
      const pages =
        options.ledger === undefined ? await ask(io, options) : offline(io, options, options.ledger);
      await write(io, options, pages);
    });
}

const liveOnly = [
  'vendor',
  'study',
  'algorithm',
  'purpose',
  'overdue',
  'expiresWithin',
  'unusedSince',
  'text',
  'order',
] as const;

function checkOptions(options: InventoryOptions): void {
  const refuse = (detail: string): never => {
    throw new CliError('cli.usage', { detail, fix: 'See the form with trialkeep inventory --help.' });
  };
  const foreign = liveOnly.find((name) => options[name] !== undefined);
  if (options.asOf !== undefined && foreign !== undefined) {
    refuse(`--${foreign.replaceAll(/[A-Z]/g, (sign) => `-${sign.toLowerCase()}`)} does not go with --as-of`);
  }
  if (options.ledger !== undefined && (options.asOf === undefined || options.key === undefined)) {
    refuse('--ledger takes --as-of and --key');
  }
  if (options.json === true && options.csv === true) refuse('--json and --csv do not go together');
}

async function ask(io: Io, options: InventoryOptions): Promise<AsyncGenerator<Shown>> {
  const { client } = await connect(io, options);
  return options.asOf === undefined ? live(client, options) : past(client, options, options.asOf);
}

async function* live(client: Caller, options: InventoryOptions): AsyncGenerator<Shown> {
  const { system, vendor, study, state, algorithm, purpose, overdue, unusedSince, text, order } = options;
  const expiresWithinDays = options.expiresWithin;
  const named = { system, vendor, study, state, algorithm, purpose, overdue, unusedSince, text, order };
  const wanted = Object.entries({ ...named, expiresWithinDays }).filter(([, value]) => value !== undefined);
  const question = Object.fromEntries(wanted) as Find;
  const read = (at: { readonly cursor?: string }) =>
    client.call('inventory.find', { ...question, limit: keysPerPage, ...at });
  for await (const { keys, origin, size } of pagesOf(read)) yield { keys, origin, size };
}

async function* past(
  client: Caller,
  { system, state }: InventoryOptions,
  asOf: number,
): AsyncGenerator<Shown> {
  const wanted = { ...(system !== undefined && { system }), ...(state !== undefined && { state }) };
  const read = (at: { readonly cursor?: string }) =>
    client.call('inventory.as-of', { asOf, ...wanted, limit: keysPerPage, ...at });
  for await (const { keys, origin, size } of pagesOf(read)) yield { asOf, keys, origin, size };
}

/** Out of an export, which is verified on the way: what does not verify is no inventory. */
async function* offline(io: Io, options: InventoryOptions, folder: string): AsyncGenerator<Shown> {
  const { asOf = 0, key: verifierKey = [], system, state } = options;
  const progress = await startProgress(io, options, 'scanning', 'entries');
  const reading = inventoryOfExport({
    folder,
    verifierKey,
    asOf,
    onProgress: (done, total) => {
      io.signal.throwIfAborted();
      progress.update(done, total);
    },
  });
  const { keys, size, reaches, log } = await reading.finally(() => progress.stop());
  if (log.verdict !== 'verified' && log.verdict !== 'consistent') {
    for (const { sentence, code } of log.findings) say(io, {}, `${sentence} [${code}]`);
    throw new Exit(1);
  }
  if (!log.payloads.exported) {
    say(
      io,
      options,
      'The export has no payloads: dates and algorithms are not told, and states as of the last change.',
    );
  }
  if (!reaches)
    say(io, options, 'The export ends before that time: it tells of keys as they were at its end.');
  const isWanted = (key: ShownKey): boolean =>
    (system === undefined || key.system === system) && (state === undefined || key.state === state);
  yield { asOf, origin: log.origin ?? '', size, keys: keys.filter(isWanted) };
}

const columns: readonly (readonly [
  name: string,
  of: (key: ShownKey) => string | number | null | undefined,
])[] = [
  ['id', ({ id }) => id],
  ['arn', ({ arn }) => arn],
  ['tenant', ({ tenant }) => tenant],
  ['system', ({ system }) => system],
  ['systemName', ({ systemName }) => systemName],
  ['vendor', ({ vendor }) => vendor],
  ['description', ({ description }) => description],
  ['algorithm', ({ algorithm }) => algorithm],
  ['purpose', ({ purpose }) => purpose],
  ['protection', ({ protection }) => protection],
  [
    'root',
    ({ module }) => module && [module.root, module.name].filter((part) => part !== undefined).join(': '),
  ],
  ['state', ({ state }) => state],
  ['version', ({ version }) => version],
  ['createdAt', ({ createdAt }) => isoTime(createdAt)],
  ['activatesAt', ({ activatesAt }) => isoTime(activatesAt)],
  ['expiresAt', ({ expiresAt }) => isoTime(expiresAt)],
  ['rotationPeriodDays', ({ rotationPeriodDays }) => rotationPeriodDays],
  ['rotationDueAt', ({ rotationDueAt }) => isoTime(rotationDueAt)],
  ['overdue', ({ overdue }) => (overdue ? 'yes' : 'no')],
  ['destructionDueAt', ({ destructionDueAt }) => isoTime(destructionDueAt)],
  ['revokedAt', ({ revocation }) => revocation && isoTime(revocation.at)],
  ['revocationCause', ({ revocation }) => revocation?.cause],
  ['useLogged', ({ useLogged }) => (useLogged ? 'yes' : 'no')],
  ['lastUse', ({ lastUse }) => lastUse && isoTime(lastUse.at)],
  ['lastUseIndex', ({ lastUse }) => lastUse?.index],
];

async function write(io: Io, options: InventoryOptions, pages: AsyncGenerator<Shown>): Promise<void> {
  let count = 0;
  let last: Omit<Shown, 'keys'> | undefined;
  await withOutput(io, options, async (out) => {
    if (options.json === true) await out('{"keys":[');
    if (options.csv === true) await out(csvRow(columns.map(([name]) => name)));
    for await (const { keys, ...from } of pages) {
      last = from;
      for (const key of keys) {
        if (options.json === true) await out(`${count === 0 ? '' : ','}${JSON.stringify(key)}`);
        else if (options.csv === true) await out(csvRow(columns.map(([, of]) => of(key))));
        else await out(`${line(key)}\n`);
        count++;
      }
    }
    const { asOf, origin, size } = last ?? {};
    if (options.json === true) await out(`],${JSON.stringify({ asOf, origin, size }).slice(1)}\n`);
  });
  const when = last?.asOf === undefined ? '' : ` as of ${isoTime(last.asOf)}`;
  say(
    io,
    options,
    `${count} keys${when}; the ledger ${last?.origin} was looked at up to entry ${last?.size}.`,
  );
}

function csvRow(values: readonly (string | number | null | undefined)[]): string {
  return `${values.map((value) => csvField(value ?? undefined)).join(',')}\r\n`;
}

/** One key in a line: a list of many thousands is not held to align it. */
function line(key: ShownKey): string {
  const due = key.rotationDueAt === null ? '-' : (isoTime(key.rotationDueAt) ?? '-').slice(0, 10);
  const used = key.lastUse === null ? 'never used' : `used ${isoTime(key.lastUse.at)}`;
  const owner = key.vendor === undefined ? key.system : `${key.vendor} / ${key.systemName ?? ''}`;
  const parts = [
    key.id,
    key.state.padEnd(14),
    `v${key.version}`.padEnd(4),
    (key.algorithm ?? '-').padEnd(9),
    `rotation ${due}${key.overdue ? ' OVERDUE' : ''}`,
    used,
    owner,
    key.description ?? '',
  ];
  return printable(parts.join('  ').trimEnd());
}
