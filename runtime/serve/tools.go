package serve

import (
	"bytes"
	"cmp"
	"encoding/json"
	"regexp"

	"qpt/runtime/lm/calls"
)

// toolSet are the tools of a request and how they may be called.
type toolSet struct {
	list   []tool
	raw    json.RawMessage // as the template reads them
	forced bool            // the answer is calls and nothing else
	only   []string        // that may be called; nil: any of them
	named  bool            // the choice names the one
	single bool            // one call at most
}

type tool struct {
	name       string
	parameters json.RawMessage // nil: none
	strict     bool
}

// toolParams are the parameters about tools.
type toolParams struct {
	Tools    json.RawMessage `json:"tools"`
	Choice   json.RawMessage `json:"tool_choice"`
	Parallel *bool           `json:"parallel_tool_calls"`
}

// toolName leaves out what the families' spellings of calls could not tell from their own marks.
var toolName = regexp.MustCompile("^[^\\s\"'`<>\\[\\]{}(),:=\\\\\\x00-\\x1f\\x7f]+$")

// maxTools bounds the tools of a request.
const maxTools = 128

// tools reads the parameters; nil for no tools.
func (p *toolParams) tools() (*toolSet, error) {
	var items []json.RawMessage
	if p.Tools != nil && json.Unmarshal(p.Tools, &items) != nil {
		return nil, refuse("tools", "tools must be a list")
	}
	if len(items) > maxTools {
		return nil, refuse("tools", "%d tools, at most %d", len(items), maxTools)
	}
	t := &toolSet{raw: p.Tools, single: p.Parallel != nil && !*p.Parallel}
	for i, item := range items {
		var v struct {
			Type     string `json:"type"`
			Function *struct {
				Name        string          `json:"name"`
				Description string          `json:"description"`
				Parameters  json.RawMessage `json:"parameters"`
				Strict      bool            `json:"strict"`
			} `json:"function"`
		}
		if err := decode(item, &v); err != nil {
			return nil, refuse("tools", "tool %d: %s", i, err)
		}
		f := v.Function
		if v.Type != "function" || f == nil || len(f.Name) > 64 || !toolName.MatchString(f.Name) {
			return nil, refuse("tools", `tool %d: want {"type": "function", "function": {"name": .., "parameters": {..}}}, the name of 1 to 64 characters, without blanks, quotes and brackets`, i)
		}
		if bytes.Equal(f.Parameters, []byte("null")) {
			f.Parameters = nil
		}
		if f.Parameters != nil && f.Parameters[0] != '{' {
			return nil, refuse("tools", "tool %d: parameters must be an object", i)
		}
		t.list = append(t.list, tool{f.Name, f.Parameters, f.Strict})
	}
	return t, t.choose(p.Choice)
}

// choose takes in the choice of a tool.
func (t *toolSet) choose(choice json.RawMessage) error {
	var word string
	type function struct {
		Type     string `json:"type"`
		Name     string `json:"name"` // of the responses API
		Function struct {
			Name string `json:"name"`
		} `json:"function"`
	}
	type allowed struct {
		Mode  string     `json:"mode"`
		Tools []function `json:"tools"`
	}
	var named struct {
		function
		allowed
		Allowed *allowed `json:"allowed_tools"`
	}
	allow := func(f function) error {
		name := cmp.Or(f.Function.Name, f.Name)
		if t.only = append(t.only, name); t.find(name) == nil {
			return refuse("tool_choice", "tool_choice names %.64q, which is none of the tools", name)
		}
		return nil
	}
	switch {
	case choice == nil:
	case json.Unmarshal(choice, &word) == nil:
		switch word {
		case "auto", "":
		case "none":
			t.list, t.raw = nil, nil
		case "required", "any":
			t.forced = true
		default:
			return refuse("tool_choice", "tool_choice %.40q: must be none, auto, required, or name a function", word)
		}
	case json.Unmarshal(choice, &named) == nil && named.Type == "function":
		t.forced, t.single, t.named = true, true, true
		if err := allow(named.function); err != nil {
			return err
		}
	case json.Unmarshal(choice, &named) == nil && named.Type == "allowed_tools":
		if named.Allowed == nil {
			named.Allowed = &named.allowed
		}
		t.forced = named.Allowed.Mode == "required"
		if t.only = []string{}; len(named.Allowed.Tools) == 0 || named.Allowed.Mode != "auto" && !t.forced {
			return refuse("tool_choice", "tool_choice: allowed_tools wants the mode auto or required, and tools")
		}
		for _, f := range named.Allowed.Tools {
			if err := allow(f); err != nil {
				return err
			}
		}
	default:
		return refuse("tool_choice", `tool_choice must be a word or {"type": "function", "function": {"name": ..}}`)
	}
	if t.forced && len(t.list) == 0 {
		return refuse("tool_choice", "tool_choice without tools")
	}
	if len(t.list) == 0 {
		t.raw = nil
	}
	return nil
}

// reading says how an answer with the tools is read.
func (m *model) reading(t *toolSet) calls.Options {
	o := calls.Options{Reasoning: m.reasoning}
	if len(t.list) == 0 {
		return o
	}
	if o.Format = m.calls; t.forced && (o.Format == nil || o.Format.Frame == nil) {
		o.Format = calls.List
	}
	for _, f := range t.list {
		var schema struct {
			Properties map[string]struct{ Type any }
		}
		json.Unmarshal(f.parameters, &schema) // what is no such schema has no properties
		o.Tools = append(o.Tools, calls.Tool{Name: f.name, Text: func(key string) bool { return schema.Properties[key].Type == "string" }})
	}
	return o
}

func (t *toolSet) find(name string) *tool {
	for i := range t.list {
		if t.list[i].name == name {
			return &t.list[i]
		}
	}
	return nil
}
