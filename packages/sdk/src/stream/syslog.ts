import { isNotable, textOf, timeOf } from './record.ts';
import type { StreamRecord } from './record.ts';

/** RFC 5424 section 6.2.1: log audit. */
const facility = 13;
const severity = { notice: 5, informational: 6 } as const;

/**
 * One entry as a message of RFC 5424, framed with its length (RFC 5425 section 4.3); docs/formats/ledger-stream.md.
 *
 * @param enterprise private enterprise number of the structured data, 1 to 2^31-1
 */
export function syslogFrame(record: StreamRecord, enterprise: number): Buffer {
  const priority = facility * 8 + (isNotable(record) ? severity.notice : severity.informational);
  const time = new Date(timeOf(record)).toISOString();
  const host = printable(record.origin.split('/', 1)[0] ?? '', 255);
  const operation = printable(textOf(record, 'operation') ?? '', 32);
  const data = `[ledger@${enterprise} origin="${parameter(record.origin)}" position="${record.position}"]`;
  const header = Buffer.from(`<${priority}>1 ${time} ${host} trialkeep - ${operation} ${data} `, 'utf8');
  const length = Buffer.from(`${header.length + record.bytes.length} `);
  return Buffer.concat([length, header, record.bytes]);
}

/** Printable US-ASCII without spaces, or the nil value (RFC 5424 section 6). */
function printable(text: string, maxLength: number): string {
  const kept = text.replace(/[^\x21-\x7e]/g, '?').slice(0, maxLength);
  return kept === '' ? '-' : kept;
}

/** RFC 5424 section 6.3.3: a quotation mark, a backslash and a closing bracket are escaped. */
function parameter(value: string): string {
  return value.replace(/["\\\]]/g, (character) => `\\${character}`);
}
