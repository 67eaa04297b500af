export function print (text = ''): void {
  process.stdout.write(`${text}\n`)
}
