import { expect, use } from 'chai'
import chaiAsPromised from 'chai-as-promised'
import chaiBites from 'chai-bites'
import chaiParentheses from 'chai-parentheses'

use(chaiBites)
use(chaiAsPromised)
// has to be the last one
use(chaiParentheses)

export { expect }
