import type { Command } from 'commander'

interface Verb {
  /** Under which heading the help has it. */
  readonly group: string
  load(): Promise<Command>
}

const RUN = 'Run a pipeline:'
const LOOK = 'Look at what ran:'
const COMPARE = 'Compare and measure:'
const WRITE = 'Write a pipeline:'
const FLEET = 'A fleet:'

// A verb's module is loaded when the verb is used: the model servers' clients take most of the start-up time.
/** In the order of the help. */
export const verbs: Readonly<Record<string, Verb>> = {
  demo: { group: RUN, load: async () => (await import('./demo.ts')).demoCommand() },
  run: { group: RUN, load: async () => (await import('./run.ts')).runCommand() },
  chat: { group: RUN, load: async () => (await import('./chat/chat.ts')).chatCommand() },
  doctor: { group: RUN, load: async () => (await import('./doctor.ts')).doctorCommand() },
  check: { group: WRITE, load: async () => (await import('./check.ts')).checkCommand() },
  policies: { group: WRITE, load: async () => (await import('./policies.ts')).policiesCommand() },
  schema: { group: WRITE, load: async () => (await import('./schema.ts')).schemaCommand() },
  explain: { group: LOOK, load: async () => (await import('./explain.ts')).explainCommand() },
  runs: { group: LOOK, load: async () => (await import('./runs.ts')).runsCommand() },
  export: { group: LOOK, load: async () => (await import('./export.ts')).exportCommand() },
  ab: { group: COMPARE, load: async () => (await import('./ab/ab.ts')).abCommand() },
  overhead: { group: COMPARE, load: async () => (await import('./overhead.ts')).overheadCommand() },
  probe: { group: COMPARE, load: async () => (await import('./probe.ts')).probeCommand() },
  serve: { group: FLEET, load: async () => (await import('./serve.ts')).serveCommand() },
  worker: { group: FLEET, load: async () => (await import('./worker.ts')).workerCommand() },
  nodes: { group: FLEET, load: async () => (await import('./nodes.ts')).nodesCommand() },
  interrupt: { group: FLEET, load: async () => (await import('./interrupt.ts')).interruptCommand() },
  cancel: { group: FLEET, load: async () => (await import('./cancel.ts')).cancelCommand() },
  dead: { group: FLEET, load: async () => (await import('./dead.ts')).deadCommand() },
  'model-server': { group: FLEET, load: async () => (await import('./model-server.ts')).modelServerCommand() },
}

/** What the help ends with. */
export const examples = `
Examples:
  caesura demo
  caesura run pipeline.yaml --input "How do I descale a kettle?"
  caesura chat --pace 12
  caesura explain last`
