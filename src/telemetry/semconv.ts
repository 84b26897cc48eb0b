/**
 * Every name that spans, metrics and resources use, with what it says. `docs/telemetry.md` is made of this file
 * (`npm run telemetry-page`).
 *
 * GenAI names are those of OpenTelemetry's semantic conventions for generative AI, which are in development; `caesura.*` are ours.
 */

/** Rises when a name or its meaning changes. */
export const TELEMETRY_VERSION = '1.0.0'

/** The conventions that the names which are not ours follow. */
export const SCHEMA_URL = 'https://opentelemetry.io/schemas/1.45.0'

export const SCOPE = 'caesura'

/** A name, the type of its value, and what it says. */
type Row = readonly [name: string, type: string, says: string]

const attributeTable = {
  // ── GenAI and general conventions
  operationName: ['gen_ai.operation.name', 'string', '`chat` for a call, `invoke_workflow` for a run'],
  providerName: ['gen_ai.provider.name', 'string', 'the backend: `ollama`, `openai`, `llama-cpp`, `scripted`'],
  requestModel: ['gen_ai.request.model', 'string', 'the model as the server knows it'],
  requestStream: ['gen_ai.request.stream', 'boolean', 'always true'],
  requestTemperature: ['gen_ai.request.temperature', 'double', 'where the stage sets it'],
  requestMaxTokens: ['gen_ai.request.max_tokens', 'int', 'where the stage sets it'],
  requestSeed: ['gen_ai.request.seed', 'int', 'where the stage sets it'],
  requestTopK: ['gen_ai.request.top_k', 'double', 'where the stage sets it'],
  requestTopP: ['gen_ai.request.top_p', 'double', 'where the stage sets it'],
  responseModel: ['gen_ai.response.model', 'string', 'the model that answered'],
  finishReasons: [
    'gen_ai.response.finish_reasons',
    'string[]',
    '`stop`, `length`, `tool_call` or `content_filter`, where the server said why the answer ended',
  ],
  timeToFirstChunk: [
    'gen_ai.response.time_to_first_chunk',
    'double',
    's from the call’s slot to its first token; absent without one',
  ],
  inputTokens: ['gen_ai.usage.input_tokens', 'int', 'where the server reported it'],
  outputTokens: ['gen_ai.usage.output_tokens', 'int', 'generated, on an abort too'],
  tokenType: ['gen_ai.token.type', 'string', '`input` or `output`'],
  workflowName: ['gen_ai.workflow.name', 'string', 'the pipeline'],
  conversationId: ['gen_ai.conversation.id', 'string', 'the session of an experiment, where the run has one'],
  outputMessages: ['gen_ai.output.messages', 'string', 'JSON; only where content is captured'],
  serverAddress: ['server.address', 'string', 'of the model server'],
  serverPort: ['server.port', 'int', 'of the model server'],
  errorType: ['error.type', 'string', 'the code of the fault; absent for what was cancelled on purpose'],
  httpMethod: ['http.request.method', 'string', 'of a request to the API'],
  httpRoute: ['http.route', 'string', 'of a request to the API'],
  httpStatus: ['http.response.status_code', 'int', 'of its answer'],
  flagKey: ['feature_flag.key', 'string', 'the experiment'],
  flagVariant: ['feature_flag.result.variant', 'string', 'the arm that the run was assigned to'],
  flagReason: ['feature_flag.result.reason', 'string', 'always `split`'],
  flagContext: ['feature_flag.context.id', 'string', 'the session that was assigned'],
  flagProvider: ['feature_flag.provider.name', 'string', 'always `caesura`'],
  // ── A run
  runId: ['caesura.run.id', 'string', 'the run'],
  outcome: ['caesura.outcome', 'string', '`completed`, `cancelled` or `failed`'],
  policy: [
    'caesura.policy',
    'string',
    'the policy of the boundary: its preset, or trigger, response and carry. On the run: of its first stage',
  ],
  response: [
    'caesura.response',
    'string',
    'the response of the interrupt. On the run: of its slowest interrupt, as the next four',
  ],
  decision: ['caesura.decision', 'string', 'what the response decided'],
  settlement: [
    'caesura.settlement',
    'string',
    '`completed`, `drained`, `aborted`, `withdrawn` or `failed`: of the call; of an interrupt: of the call that was interrupted',
  ],
  trigger: ['caesura.trigger', 'string', 'what brought the interrupt'],
  toFirstToken: [
    'caesura.interrupt.to_first_token_ms',
    'double',
    'ms from the interrupt to the first token of the next stage; absent where there was none',
  ],
  signalToFirstToken: [
    'caesura.interrupt.signal_to_first_token_ms',
    'double',
    'ms from the first signal of the gesture to the same; only where that signal came before the interrupt',
  ],
  toSilence: [
    'caesura.interrupt.to_silence_ms',
    'double',
    'ms from the first signal of the gesture to the last text of the interrupted stage that was handed to readers; 0 where none came after it',
  ],
  interrupts: ['caesura.interrupts', 'int', 'interrupts of the run, suppressed ones left out'],
  exposed: [
    'caesura.experiment.exposed',
    'boolean',
    'true where the arms of the experiment could have done different things in the run; absent where not',
  ],
  resumed: ['caesura.resumed', 'boolean', 'true where the run has gone on in another process'],
  cancelReason: ['caesura.cancel.reason', 'string', 'why the run was cancelled'],
  generatedTokens: ['caesura.tokens.generated', 'int', 'of all calls'],
  thinkingTokens: [
    'caesura.tokens.thinking',
    'int',
    'the part of the generated tokens that was thinking; absent where the model did not think',
  ],
  tokensCounted: [
    'caesura.tokens.counted',
    'string',
    '`server`: the server counted them; `pieces`: the pieces that came were counted, or reckoned from',
  ],
  toolNames: ['caesura.tool_calls', 'string[]', 'the names of the tools that the model asked for'],
  wastedTokens: ['caesura.tokens.wasted', 'int', 'generated, but neither carried on nor part of an answer that stood'],
  deliveredTokens: ['caesura.tokens.delivered', 'int', 'handed to a reader'],
  slotMs: ['caesura.slot_ms', 'double', 'ms for which a slot was held'],
  wastedSlotMs: ['caesura.slot_wasted_ms', 'double', 'the part of it after the last token that was used'],
  // ── A stage and its calls
  stageId: ['caesura.stage', 'string', 'the stage'],
  callId: ['caesura.call.id', 'string', 'the call, unique in its run'],
  visit: ['caesura.call.visit', 'int', 'the visit of its stage; 1 for the first'],
  attempt: ['caesura.call.attempt', 'int', '1 unless a fault had the call repeated'],
  attempts: ['caesura.stage.attempts', 'int', 'calls that the stage needed'],
  node: ['caesura.node', 'string', 'the node that made the call; absent where it never had a slot'],
  lostWorker: [
    'caesura.worker.lost',
    'boolean',
    'true where the worker of the call died; the span was written by the owner of the run',
  ],
  warmed: [
    'caesura.warmed',
    'string',
    'what was done ahead for the next stage: `loaded`, `prefilled`, `skipped`, `failed`',
  ],
  serverUnused: [
    'caesura.server.unused',
    'string',
    'why the durations that the server reported explain no phase; absent where they may',
  ],
  arrival: ['caesura.arrival', 'string', '`bunched`: the pieces of the answer came all at once'],
  lateLoopMs: ['caesura.late_loop_ms', 'double', 'the process of the call read a part of the answer up to so late'],
  // ── An interrupt and its phases
  interruptIndex: ['caesura.interrupt.index', 'int', '1 for the first of the run'],
  interruptFate: ['caesura.interrupt.fate', 'string', 'of metrics: `handled`, `suppressed` or `superseded`'],
  interruptFrom: ['caesura.interrupt.from', 'string', 'the stage that was interrupted'],
  interruptTo: ['caesura.interrupt.to', 'string', 'where the run went'],
  reason: ['caesura.decision.reason', 'string', 'why, with the numbers that the policy saw'],
  carry: ['caesura.carry', 'string', 'what of the partial output the next stage saw'],
  phase: ['caesura.phase', 'string', 'the name of the phase'],
  phaseSource: [
    'caesura.phase.source',
    'string',
    '`observed`: a mark on both ends; `inferred`: from durations that the server reported',
  ],
  phaseCandidates: [
    'caesura.phase.candidates',
    'string[]',
    'of `unattributed`: the phases that it could be, which no observation tells apart',
  ],
  phaseMs: ['caesura.phase.ms', 'double', 'its length, as the record has it'],
  clockOffset: [
    'caesura.clock.offset_ms',
    'double',
    'how far the wall clock of the call’s worker was ahead of the fleet’s',
  ],
  clockError: [
    'caesura.clock.error_ms',
    'double',
    'how far off an instant may be that was taken in another process: half a round trip to Redis, of both',
  ],
  // ── An event
  interruptInput: ['caesura.interrupt.input', 'string', 'the new input; only where content is captured'],
} as const satisfies Record<string, Row>

const resourceTable = {
  serviceName: [
    'service.name',
    'string',
    '`caesura` for runs in one process; `caesura-serve`, `caesura-pipelines`, `caesura-stages`, `caesura-model-server`',
  ],
  serviceVersion: ['service.version', 'string', 'of Caesura'],
  serviceInstance: ['service.instance.id', 'string', 'tells the processes of one service apart'],
} as const satisfies Record<string, Row>

/** `name` of a span: `{}` is filled in. */
const spanTable = {
  run: [
    'invoke_workflow {pipeline}',
    'INTERNAL',
    'a run, from its start to its end; the root, or below the span that asked for the run',
  ],
  owner: [
    'host run',
    'INTERNAL',
    'the time that one process of a fleet hosted the run; only where it changed hands. Each but the first links to the one before',
  ],
  stage: [
    'stage {stage}',
    'INTERNAL',
    'a stage that the run entered: from the start of its first call until its last one has settled',
  ],
  call: [
    'chat {model}',
    'CLIENT',
    'a call: from its slot (without one: from its start) until it has settled. A retry links to the call that failed',
  ],
  interrupt: [
    'interrupt {response}',
    'INTERNAL',
    'from the interrupt to the first token of the next stage; without one until the interrupted call has settled',
  ],
  phase: ['phase {phase}', 'INTERNAL', 'one phase of the interrupt; they follow each other without a gap and fill it'],
  request: [
    '{method} {route}',
    'SERVER',
    'a request to the API that starts a run, or one to `caesura model-server`; with its `load-end`, `slot-acquired`, `prefill-start` … as events',
  ],
} as const satisfies Record<string, Row>

const eventTable = {
  mark: [
    '{mark}',
    'call',
    'a mark of the call: `request-sent`, `headers`, `prefill-start`, `first-token`, `abort-requested`, `closed`, `slot-free` … (docs/records.md)',
  ],
  sentenceEnd: ['sentence-end', 'call', 'the token came that showed a sentence to be over; of the first 32'],
  interrupted: ['interrupt', 'run', 'an interrupt came'],
  suppressed: ['interrupt-suppressed', 'run', 'a filter of the policy refused a signal'],
  superseded: ['interrupt-superseded', 'run', 'a newer signal took its place'],
  exposed: [
    'experiment-exposure',
    'run',
    'the arms of the experiment could have done different things from here on; once, with `feature_flag.*`',
  ],
} as const satisfies Record<string, Row>

type Names<T extends Record<string, Row>> = { readonly [K in keyof T]: T[K][0] }
const names = <T extends Record<string, Row>>(table: T): Names<T> =>
  Object.fromEntries(Object.entries(table).map(([key, [name]]) => [key, name])) as unknown as Names<T>

export const attribute = names(attributeTable)
export const resourceAttribute = names(resourceTable)
export const event = names(eventTable)

/** For the page. */
export const tables = {
  attributes: attributeTable,
  resource: resourceTable,
  spans: spanTable,
  events: eventTable,
} as const
