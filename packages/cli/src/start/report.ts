/** What `start --json` prints; the exit status is 0 only if all of it held. */
export interface Report {
  readonly sealed: { readonly files: number; readonly bytes: number; readonly seconds: number };
  readonly opened: { readonly files: number; readonly identical: number };
  readonly rotated: { readonly key: string; readonly from: number; readonly to: number };
  readonly revoked: { readonly key: string; readonly refused: boolean; readonly code: string };
  readonly ledger: {
    readonly origin: string;
    readonly entries: number;
    readonly verified: boolean;
    /** The entry that was altered, as the verifier named it; null when it did not. */
    readonly tamperDetectedAt: number | null;
    /** The exported log. */
    readonly directory: string;
    /** The signed-note vkey that verifies it. */
    readonly verifierKey: string;
  };
  readonly restored: {
    readonly identical: boolean;
    readonly stillRevoked: boolean;
    readonly rollbackNoticed: boolean;
  };
  readonly dataDirectory: string;
}

/** Whether everything that the run set out to show was shown. */
export function held({ sealed, opened, rotated, revoked, ledger, restored }: Report): boolean {
  return (
    sealed.files > 0 &&
    opened.files === sealed.files &&
    opened.identical === opened.files &&
    rotated.to === rotated.from + 1 &&
    revoked.refused &&
    revoked.code === 'key.revoked' &&
    ledger.verified &&
    ledger.tamperDetectedAt !== null &&
    restored.identical &&
    restored.stillRevoked &&
    restored.rollbackNoticed
  );
}
