import {
  CaptureTag,
  CaseTag,
  type Context,
  defaultOperators,
  type Emitter,
  evalToken,
  ForTag,
  toValueSync,
} from 'liquidjs'
import { type Budget, budgetOf, prices, printed } from './template-budget.ts'
import { contains } from './template-filters.ts'

/** Takes what is rendered, as a text. `take` is told how much comes, before it is added. */
export function textEmitter(budget: Budget, take: (characters: number) => void): Emitter & { buffer: string } {
  return {
    buffer: '',
    write(piece: unknown) {
      const text = printed(piece, budget)
      take(text.length)
      this.buffer += text
    },
  }
}

/** A loop pays for the list that it may copy; each turn is paid for as it comes. */
class PricedFor extends ForTag {
  override *render(context: Context, emitter: Emitter): ReturnType<ForTag['render']> {
    const list = (yield evalToken(this.collection, context)) as unknown
    const size = Array.isArray(list) ? list.length : typeof list === 'object' ? Object.keys(list ?? {}).length : 0
    budgetOf(context).spend(size * prices.look)
    return (yield* super.render(context, emitter)) as undefined
  }
}

/** Tells values apart as `==` does, which pays for it. */
class PricedCase extends CaseTag {
  override *render(context: Context, emitter: Emitter): ReturnType<CaseTag['render']> {
    const { renderer } = this.liquid
    const { lenientIf } = context.opts
    const target = (yield this.value.value(context, lenientIf)) as unknown
    let isHit = false
    for (const { values, templates } of this.branches) {
      for (const value of values) {
        const found = (yield evalToken(value, context, lenientIf)) as unknown
        if (!isEqual(target, found, context)) continue
        yield renderer.renderTemplates(templates, context, emitter)
        isHit = true
        break
      }
    }
    if (!isHit) yield renderer.renderTemplates(this.elseTemplates, context, emitter)
  }
}

class PricedCapture extends CaptureTag {
  override *render(context: Context): ReturnType<CaptureTag['render']> {
    const budget = budgetOf(context)
    const emitter = textEmitter(budget, (characters) => budget.keep(characters))
    yield this.liquid.renderer.renderTemplates(this.templates, context, emitter)
    context.bottom()[this.variable] = emitter.buffer
  }
}

export const templateTags = { for: PricedFor, case: PricedCase, capture: PricedCapture }

/** Pays for all that both hold, unless they are of different kinds or lengths. */
function payToCompare(left: unknown, right: unknown, budget: Budget): void {
  const sizes = [left, right].map((value) => (typeof value === 'string' || Array.isArray(value) ? value.length : 0))
  if (typeof left === 'string' && typeof right === 'string') budget.spend(Math.min(...sizes))
  else if (Array.isArray(left) && Array.isArray(right) && sizes[0] === sizes[1]) {
    const { characters, entries } = budget.measure(left, right)
    budget.spend(characters + entries * prices.turn)
  }
}

function isEqual(left: unknown, right: unknown, context: Context): boolean {
  payToCompare(left, right, budgetOf(context))
  return toValueSync(defaultOperators['==']!(left, right, context)) as boolean
}

type Operator = (left: unknown, right: unknown, context: Context) => unknown

const compared =
  (operator: Operator): Operator =>
  (left, right, context) => {
    payToCompare(left, right, budgetOf(context))
    return operator(left, right, context)
  }

/** The operators of conditions. */
export const templateOperators = {
  ...defaultOperators,
  ...Object.fromEntries(
    ['==', '!=', '<', '<=', '>', '>='].map((name) => [name, compared(defaultOperators[name] as Operator)]),
  ),
  contains: (left: unknown, right: unknown, context: Context) => contains(left, right, budgetOf(context)),
}
