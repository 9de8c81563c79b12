export { acknowledgeReceipts, exportReceipts, importReceipts } from './list.ts';
export type { ReceiptList } from './list.ts';
export { openReporter } from './reporter.ts';
export type { DataKeyUse, EscrowUse, Reporter, ReporterOptions, UseReporter } from './reporter.ts';
export { sdkErrors, TrialkeepError } from '../errors.ts';
export type { SdkErrorCode } from '../errors.ts';
