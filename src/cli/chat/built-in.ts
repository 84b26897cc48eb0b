import { readDocument } from '../../core/document.ts'

/** The names that the bundled model has, in this process and in an Ollama that it was imported into. */
const BUNDLED = /^caesura-demo\b/

export const isBundled = (models: Readonly<Record<string, string>>): boolean =>
  Object.values(models).some((name) => BUNDLED.test(name))

/**
 * The pipeline of a chat without one. The bundled model knows a few system prompts to the letter, and its context is 1,024 tokens: its
 * history is bounded in tokens, so that no long conversation fills it.
 */
export const builtIn = (bundled: boolean) =>
  readDocument(`
name: chat
history: ${bundled ? '{ tokens: 500 }' : '{ turns: 20 }'}
stages:
  - id: answer
    model: fast
    system: ${bundled ? 'You answer household questions. Answer at length.' : 'You are in a conversation. Answer in a few sentences.'}
    prompt: "{{ input }}"
    options: { maxTokens: ${bundled ? '250, temperature: 0, seed: 1' : '1000'} }
    policy: { trigger: signal, response: abort }
`)
