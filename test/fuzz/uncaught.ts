import { messageOf } from './promises.ts'

export interface Uncaught {
  throwAny(): void
  stop(): void
}

/**
 * Nothing may be thrown, or rejected, where nobody can catch it, and no timer may be
 * set for a time that has passed
 */
export function watchUncaught (): Uncaught {
  const errors: unknown[] = []
  const onError = (err: unknown): void => { errors.push(err) }

  const onWarning = (warning: Error): void => {
    if (warning.name === 'TimeoutNegativeWarning') {
      errors.push(warning)
    }
  }

  process.on('warning', onWarning)
  process.on('uncaughtException', onError)
  process.on('unhandledRejection', onError)

  return {
    throwAny: () => {
      if (errors.length > 0) {
        throw new Error(`nobody could catch ${errors.splice(0).map(messageOf).join(', ')}`)
      }
    },
    stop: () => {
      process.off('warning', onWarning)
      process.off('uncaughtException', onError)
      process.off('unhandledRejection', onError)
    }
  }
}
