package serve

import "encoding/json"

// forced is the splitter of answers that a constraint makes calls of tools: a list of {"name", "arguments"}.
type forced struct {
	tools *toolSet
	held  string
}

func (f *forced) next(text string) []piece {
	f.held += text
	return nil
}

func (f *forced) end() (out []piece) {
	var list []struct {
		Name      string          `json:"name"`
		Arguments json.RawMessage `json:"arguments"`
	}
	if err := json.Unmarshal([]byte(f.held), &list); err != nil { // the answer was too long
		return plain{}.next(f.held)
	}
	for _, c := range list {
		out = append(out, piece{call: &madeCall{c.Name, string(c.Arguments)}})
	}
	return out
}
