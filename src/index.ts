export {
  catalogue,
  createEngine,
  definePipeline,
  type EngineSettings,
  type FleetEngineSettings,
  type PipelineSettings,
} from './app/compose.ts'
export { type CatalogueExtension, extendCatalogue } from './app/extend-catalogue.ts'
export { llamaCpp, type NodeSettings, ollama, openai, scripted } from './app/nodes.ts'
export { type ObservedProcess, type Observing, observe as openTelemetry } from './app/observing.ts'
export type { DurationInput, OwnPipelineInput, PipelineInput, StagePolicyInput } from './app/pipeline-input.ts'
export { type BackendKind, type BackendPlace, backendKind } from './core/backend-kind.ts'
export type {
  CallEnd,
  CallRequest,
  CallTimeouts,
  ChatMessage,
  GenerateContext,
  GenerationOptions,
  NodeWish,
  Placement,
  PrefillRequest,
  Settlement,
} from './core/call.ts'
export type { Catalogue, Catalogue as PolicyCatalogue } from './core/catalogue.ts'
export { type Clock, type Nanoseconds, systemClock } from './core/clock.ts'
export { countSchema, durationSchema } from './core/duration.ts'
export type {
  Became,
  Engine,
  PlannedSignal,
  RunHandle,
  Said,
  SayOptions,
  Session,
  SignalAnswer,
  StartOptions,
} from './core/engine.ts'
export type { Environment } from './core/environment.ts'
export { CaesuraError, CaesuraErrors, type ErrorCode, type ErrorPlace, errorCodes } from './core/errors.ts'
export type { Expectation } from './core/estimates.ts'
export type { RunEvent } from './core/event.ts'
export type { ExposingBoundary, LiveArm, LiveExperiment } from './core/live-experiment.ts'
export type { Busy, Pipeline, Retry, Stage } from './core/pipeline.ts'
export {
  type BoundaryEvent,
  type BoundaryView,
  type CallEvent,
  type CarryDefinition,
  type ChoiceDefinition,
  type Command,
  cancelCall,
  decide,
  type Factor,
  fireNext,
  fireWhenSettled,
  type PartialOutput,
  type Policy,
  type PolicyInput,
  type Preset,
  pauseDelivery,
  type ResponseDefinition,
  releaseDelivery,
  type SignalFilter,
  setDeadline,
  type TriggerDefinition,
  type TriggerFactor,
  type TriggerStep,
  withdrawNext,
} from './core/policy.ts'
export type {
  Backend,
  ModelInfo,
  Node,
  RunStore,
  RunSummary,
  ServerInfo,
  Telemetry,
  WarmOutcome,
} from './core/ports.ts'
export type { ProbeKey, ProbePriors, ProbeResult } from './core/probe.ts'
export type { CallRecord, ExperimentArm, InterruptRecord, Phase, ProcessRecord, RunRecord } from './core/record.ts'
export type { KeptSession, SessionName, SessionStore } from './core/session.ts'
export {
  type KnownText,
  type ModelWish,
  type Opening,
  type OwnWork,
  type Step,
  type StepKind,
  type StepWarning,
  stepKind,
  type TemplatePlace,
} from './core/step.ts'
export type { TraceContext, TraceHeaders } from './core/trace.ts'
export type { HistoryWish, Turn } from './core/turn.ts'
export { VirtualClock } from './lab/simulation/virtual-clock.ts'
export type { CallScript, Script } from './nodes/backends/scripted.ts'
