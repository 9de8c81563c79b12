import { outwardFaults } from '../platform/outward.ts';

/** What a witness or mirror did, or was, that kept its cosignature away. Shown by `witnessing.show`. */
export const cosignerFaults = {
  unreachable: outwardFaults.unreachable,
  slow: outwardFaults.slow,
  'answer-too-large': outwardFaults['too-large'],
  redirect: outwardFaults.redirect,
  status: 'It answered with a status that has no meaning here.',
  malformed: 'Its answer is not what the specification says.',
  'log-unknown': 'It does not know this log: its operator has to add the origin and the verifier key.',
  'log-refused': 'It does not accept the signature of this log: its operator has another verifier key.',
  inconsistent: 'It says that this log is not the one that it knows.',
  ahead: 'It says that it knows more entries than the log has, and shows no checkpoint that proves it.',
  'no-cosignature': 'Its answer holds no cosignature by the key of the policy.',
  'wrong-cosignature': 'It answered with a cosignature that does not verify.',
  'no-time': 'Its cosignature states no time.',
  pruned: 'It lacks entries that have been pruned here: it has to get them from another mirror.',
  stuck: 'It asks for entries that it has been sent.',
} as const satisfies Record<string, string>;
export type CosignerFaultCode = keyof typeof cosignerFaults;

/** Longest text about a fault that is kept and shown, characters: parts may be the cosigner's. */
const maxDetail = 160;

/** Thrown where a witness or mirror could not do, or did not do, its part. Never ends a process or fails a request. */
export class CosignerFault extends Error {
  readonly code: CosignerFaultCode;

  constructor(code: CosignerFaultCode, detail?: string, cause?: unknown) {
    const text = cosignerFaults[code];
    super(detail === undefined ? text : `${text} ${printable(detail)}`, { cause });
    this.name = 'CosignerFault';
    this.code = code;
  }
}

function printable(detail: string): string {
  return detail.replace(/[^\u0020-\u007e]/g, '?').slice(0, maxDetail);
}
