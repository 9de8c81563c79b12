import { matches } from '@trialkeep/ledger';

/** An origin of a log, or a name: one line. */
export const isLine = matches(/^[^\u0000-\u001f\u007f]{1,1000}$/u);
