import type { Preset } from '../core/policy.ts'

export const presets: readonly Preset[] = [
  {
    name: 'cut-in',
    summary: 'New input stops the answer at once; the next stage knows the sentences that were finished.',
    policy: { trigger: 'signal', response: 'abort', carry: 'sentences' },
  },
  {
    name: 'let-finish',
    summary: 'New input waits until the answer is complete: for answers that must not be lost.',
    policy: { trigger: 'signal', response: 'drain', carry: 'all' },
  },
  {
    name: 'talk-over',
    summary: 'New input is answered at once, while the old call is still being cancelled: for nodes with a free slot.',
    policy: { trigger: 'signal', response: 'overlap', carry: 'all' },
  },
  {
    name: 'uninterruptible',
    summary: 'Nothing interrupts this stage.',
    policy: { trigger: { never: null, signals: 'ignore' }, response: 'drain', carry: 'all' },
  },
]
