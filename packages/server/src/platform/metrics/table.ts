import { errors, keyStates, operations } from '@trialkeep/contract';

/** How a request ended. `pending`: kept for people to approve, or to be signed. */
export const requestOutcomes = ['success', 'refused', 'failed', 'pending'] as const;
export type RequestOutcome = (typeof requestOutcomes)[number];

/** One metric: docs/how-to/watch-the-server.md has the same table, which a test holds to this one. */
export interface MetricDefinition {
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly help: string;
  /** Every label with all the values that it can have: no label ever names a tenant, a key, a person or an address. */
  readonly labels?: Readonly<Record<string, readonly string[]>>;
  /** Upper bounds of a histogram. */
  readonly buckets?: readonly number[];
}

const operationIds = Object.keys(operations);
const seconds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10] as const;

/** Everything that the server tells of itself, by name (OpenMetrics naming: unit last, `_total` for counters). */
export const metricTable = {
  trialkeep_requests_total: {
    type: 'counter',
    help: 'Requests by operation and how they ended',
    labels: { operation: operationIds, outcome: requestOutcomes },
  },
  trialkeep_request_seconds: {
    type: 'histogram',
    help: 'How long requests took, from the first step at the gate to the answer',
    labels: { operation: operationIds },
    buckets: seconds,
  },
  trialkeep_errors_total: {
    type: 'counter',
    help: 'Requests that did not succeed, by error code',
    labels: { code: Object.keys(errors) },
  },
  trialkeep_append_entries: {
    type: 'histogram',
    help: 'Entries of key use that shared one flush to the ledger',
    buckets: [1, 2, 4, 8, 16, 32, 64, 128, 256, 512],
  },
  trialkeep_append_seconds: {
    type: 'histogram',
    help: 'How long a flush of entries of key use took',
    buckets: seconds,
  },
  trialkeep_append_waiting: { type: 'gauge', help: 'Requests that wait for their entry to be durable' },
  trialkeep_changes_waiting: { type: 'gauge', help: 'Changes under way, or waiting for their turn' },
  trialkeep_polls_total: {
    type: 'counter',
    help: 'Looks at what other nodes have changed, about one a second',
    labels: { outcome: ['success', 'failed'] },
  },
  trialkeep_poll_age_seconds: { type: 'gauge', help: 'Time since the last successful look' },
  trialkeep_facts_total: {
    type: 'counter',
    help: 'Facts that authorisations needed: known already, or read from the database',
    labels: { from: ['cache', 'database'] },
  },
  trialkeep_unwrapped_keys: { type: 'gauge', help: 'Keys that this process holds unwrapped' },
  trialkeep_jobs_due: { type: 'gauge', help: 'Jobs that are due and have not ended' },
  trialkeep_job_lag_seconds: { type: 'gauge', help: 'How long the oldest due job has been due' },
  trialkeep_jobs_failing: { type: 'gauge', help: 'Jobs whose last run failed' },
  trialkeep_event_loop_delay_seconds: {
    type: 'gauge',
    help: 'How late timers of the process ran since the last scrape',
    labels: { quantile: ['0.5', '0.99', '1'] },
  },
  trialkeep_ledger_entries: { type: 'gauge', help: 'Entries of all ledgers together' },
  trialkeep_ledger_unintegrated_entries: { type: 'gauge', help: 'Entries that are not in their tree yet' },
  trialkeep_ledger_unindexed_entries: { type: 'gauge', help: 'Entries that questions do not find yet' },
  trialkeep_checkpoint_lag_seconds: {
    type: 'gauge',
    help: 'Age of the oldest entry that no checkpoint covers; 0 where all are covered',
  },
  trialkeep_witnessed_ledgers: {
    type: 'gauge',
    help: 'Ledgers by what stands in the way of their witnesses',
    labels: { state: ['policy', 'required', 'failing', 'withheld'] },
  },
  trialkeep_keys: {
    type: 'gauge',
    help: 'Keys of all tenants by state',
    labels: { state: keyStates },
  },
  trialkeep_keys_rotation_overdue: { type: 'gauge', help: 'Active keys whose rotation was due' },
  trialkeep_root_up: { type: 'gauge', help: '1 where the root of trust answered when it was last asked' },
  trialkeep_root_check_age_seconds: { type: 'gauge', help: 'Time since the root of trust was last asked' },
  trialkeep_ready: { type: 'gauge', help: '1 where the server can answer operations, as /ready says' },
  trialkeep_not_ready: {
    type: 'gauge',
    help: '1 for each reason why it cannot',
    labels: { reason: ['database', 'recovery', 'stopping', 'storage'] },
  },
  trialkeep_trace_spans_total: {
    type: 'counter',
    help: 'Spans of traced requests by what came of them',
    labels: { outcome: ['exported', 'dropped', 'failed'] },
  },
  trialkeep_process_memory_bytes: {
    type: 'gauge',
    help: 'Memory of the process',
    labels: { kind: ['resident', 'heap', 'external'] },
  },
  trialkeep_process_cpu_seconds_total: { type: 'counter', help: 'Processor time of the process' },
  trialkeep_process_start_time_seconds: { type: 'gauge', help: 'When the process started, Unix time' },
} as const satisfies Record<string, MetricDefinition>;
export type MetricName = keyof typeof metricTable;
