import type { Preset } from '../core/policy.ts'

/** Policies with a name. The summary says when to use it. */
export const presets: readonly Preset[] = [
  {
    name: 'cut-in',
    summary: 'A user types while the answer runs: stop at once; the next stage knows the finished sentences.',
    policy: { response: 'abort', carry: 'sentences' },
  },
  {
    name: 'let-finish',
    summary: 'Answers that must not be lost: new input waits until the answer is complete.',
    policy: { response: 'drain' },
  },
  {
    name: 'talk-over',
    summary: 'Nodes with a free slot: go on at once while the old call is still being cancelled.',
    policy: { response: 'overlap' },
  },
  {
    name: 'finish-sentence',
    summary: 'Speech output: stop at the end of the sentence, half a second later at most.',
    policy: { response: 'boundary', carry: 'sentences' },
  },
  {
    name: 'thrifty',
    summary: 'Shared GPUs: cancel only what is expected to cost more to finish than to cancel.',
    policy: { response: 'adaptive' },
  },
  {
    name: 'barge-in',
    summary: 'Voice: sound pauses the answer; a second signal (the transcript) stops it, a cough changes nothing.',
    policy: { response: { hold: { confirm: 600, otherwise: 'resume' } }, carry: 'delivered' },
  },
  {
    name: 'minimum-words',
    summary: 'Voice: three words or more stop the answer; "mhm" and "I see" do not.',
    policy: { trigger: { signal: null, minimum: { words: 3 } }, response: 'abort', carry: 'delivered' },
  },
  {
    name: 'preemptive',
    summary: 'Speculation: answer the new input beside the old call; the first to speak wins. Needs a second slot.',
    policy: { response: 'race', carry: 'none' },
  },
  {
    name: 'enqueue',
    summary: "As LangGraph's enqueue: the new input is handled after the whole answer.",
    policy: { response: 'drain' },
  },
  {
    name: 'reject',
    summary: "As LangGraph's reject: new input is refused while the stage runs.",
    policy: { trigger: { never: null, signals: 'ignore' }, response: 'drain' },
  },
  {
    name: 'interrupt',
    summary: "As LangGraph's interrupt: stop, and keep all that was generated.",
    policy: { response: 'abort', carry: 'all' },
  },
  {
    name: 'rollback',
    summary: "As LangGraph's rollback: stop, and go on as if the stage had said nothing.",
    policy: { response: 'abort', carry: 'none' },
  },
]
