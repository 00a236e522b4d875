package serve

import (
	"encoding/json"
	"strings"
)

// forced is the splitter of answers that a constraint makes calls of tools: a list of {"name", "arguments"}.
type forced struct {
	tools *toolSet
	held  string
}

func (f *forced) next(text string) []piece {
	f.held += text
	return nil
}

// end reads the calls; of an answer that was cut those that are whole.
func (f *forced) end() (out []piece) {
	d := json.NewDecoder(strings.NewReader(f.held))
	if _, err := d.Token(); err != nil {
		return plain{}.next(f.held)
	}
	for d.More() {
		var c struct {
			Name      string          `json:"name"`
			Arguments json.RawMessage `json:"arguments"`
		}
		if err := d.Decode(&c); err != nil {
			break
		}
		out = append(out, piece{call: &madeCall{c.Name, string(c.Arguments)}})
	}
	if out == nil {
		return plain{}.next(f.held)
	}
	return out
}
