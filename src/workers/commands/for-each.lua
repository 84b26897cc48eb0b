-- The end of a command for what many ask at once: calls the function `one` for each, with the place of its first and its last parameter.
-- A fault in one of them is its own. Parameters: prefix, then for each how many it has and these. → `ok` and an answer for each.

local answers = {'ok'}
local at = 2
while ARGV[at] do
  local last = at + tonumber(ARGV[at])
  local whole, answer = pcall(one, at + 1, last)
  if not whole then answer = {'error', type(answer) == 'table' and answer.err or tostring(answer)} end
  answers[#answers + 1] = answer
  at = last + 1
end
deliver()
return answers
