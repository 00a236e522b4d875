package serve

import (
	"encoding/json"

	"qpt/runtime/serve/sched"
)

// constraints are the parameters that say what form an answer must have: OpenAI's, vLLM's.
type constraints struct {
	Format     *responseFormat `json:"response_format"`
	Structured json.RawMessage `json:"structured_outputs"`
}

type responseFormat struct {
	Type string `json:"type"`
}

// constraint makes the constraint of each text; nil for none.
func (m *model) constraint(q *constraints, t *toolSet) (func() sched.Constraint, error) {
	if q.Structured != nil || q.Format != nil && q.Format.Type != "text" || t != nil && t.forced {
		return nil, refuse("response_format", "structured output is not supported")
	}
	return nil, nil
}
