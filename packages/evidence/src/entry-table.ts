import { isTime } from '@trialkeep/ledger';
import { named, utc, type Block, type Fact } from './blocks.ts';
import { textOf, type EntryMembers, type ListedEntry } from './listed.ts';

type Names = Readonly<Record<string, string>>;

/** The members that say what an entry is about, in the order of reading. */
const about = [
  'subject',
  'class',
  'purpose',
  'study',
  'key',
  'version',
  'system',
  'person',
  'approval',
  'state',
  'reason',
];

/**
 * The table of entries: what an inspector asks first, who did what to what, and when. What all of them have in common stands above it,
 * once.
 */
export function entryTable(entries: readonly ListedEntry[], names: Names): Block[] {
  const common = commonOf(entries);
  const own = about.filter((member) => !common.includes(member));
  const [first] = entries;
  const facts = common.map((member): Fact => {
    const value = String(first?.entry[member]);
    return { name: `All: ${member}`, value: named(names, value), mono: true };
  });
  const table: Block = {
    type: 'table',
    columns: [
      { title: 'Index', share: 8, mono: true },
      { title: 'Time (UTC)', share: 12 },
      { title: 'Operation, outcome', share: 17 },
      { title: 'Acted by', share: 30, mono: true },
      { title: 'About', share: 33, mono: true },
    ],
    rows: entries.map(({ entry, index }) => [
      String(index),
      utc(entry.time).replace(' UTC', '').replace(' ', '\n'),
      `${entry.operation}\n${outcomeOf(entry)}`,
      actorOf(entry, names),
      aboutOf(entry, own, names),
    ]),
  };
  return facts.length === 0 ? [table] : [{ type: 'facts', facts }, table];
}

/** The members that several entries have, each with the same value in all of them. */
function commonOf(entries: readonly ListedEntry[]): readonly string[] {
  const [first, ...others] = entries;
  if (first === undefined || others.length === 0) return [];
  return about.filter((member) => {
    const value = first.entry[member];
    const isShown = typeof value === 'string' || typeof value === 'number';
    return isShown && others.every(({ entry }) => entry[member] === value);
  });
}

function outcomeOf(entry: EntryMembers): string {
  const code = textOf(entry, 'code');
  return code === undefined ? entry.outcome : `${entry.outcome}: ${code}`;
}

function actorOf(entry: EntryMembers, names: Names): string {
  const actor = textOf(entry, 'actor');
  if (actor === undefined) return 'the server';
  const role = textOf(entry, 'role') ?? '';
  const name = Object.hasOwn(names, actor) ? names[actor] : undefined;
  const who = [name, role].filter((part) => part !== undefined && part !== '').join(', ');
  return who === '' ? actor : `${who}\n${actor}`;
}

function aboutOf(entry: EntryMembers, members: readonly string[], names: Names): string {
  const lines = members.flatMap((member) => {
    const value = entry[member];
    if (typeof value !== 'string' && typeof value !== 'number') return [];
    return [`${member} ${typeof value === 'string' ? named(names, value) : value}`];
  });
  const { attested } = entry;
  if (typeof attested === 'object' && attested !== null) {
    const { use, count, time } = attested as Record<string, unknown>;
    lines.push(
      `attested ${String(use)}, ${String(count)} times, at ${isTime(time) ? utc(time as number) : '–'}`,
    );
  }
  return lines.length === 0 ? '–' : lines.join('\n');
}
