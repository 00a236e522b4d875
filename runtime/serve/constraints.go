package serve

import (
	"encoding/json"
	"errors"

	"qpt/runtime/lm/calls"
	"qpt/runtime/lm/constrain"
	"qpt/runtime/serve/sched"
)

// constraints are the parameters that say what form an answer must have: OpenAI's, vLLM's.
type constraints struct {
	Format     *responseFormat `json:"response_format"`
	Structured *structured     `json:"structured_outputs"`
}

type responseFormat struct {
	Type   string `json:"type"`
	Schema *struct {
		Schema json.RawMessage `json:"schema"`
	} `json:"json_schema"`
}

// structured is vLLM's parameter: one of its fields.
type structured struct {
	JSON    json.RawMessage `json:"json"` // a schema, or a text that holds one
	Object  bool            `json:"json_object"`
	Regex   string          `json:"regex"`
	Choice  []string        `json:"choice"`
	Grammar string          `json:"grammar"`
}

// constraint makes the constraint of each text; nil for none. It fits how the text is read.
func (m *model) constraint(q *constraints, read *calls.Options, t *toolSet) (func() sched.Constraint, error) {
	spec, param, err := q.spec()
	switch {
	case err != nil:
		return nil, err
	case read.Format != nil && read.Format.Frame != nil: // calls, or the text
		if spec == nil || t.forced {
			spec, param = &constrain.Spec{}, "tools"
		}
		spec.Tools = t.spec(read.Format)
	case spec == nil:
		return nil, nil
	}
	if r := read.Reasoning; r != nil && r.Close != "" {
		open := r.Open
		if _, token := m.tok.ID(open); !token && (spec.Tools == nil || !spec.Tools.Free) { // such models do not open it by themselves
			open = ""
		}
		spec.Reasoning = &constrain.Reasoning{Open: open, Close: r.Close, Inside: read.Inside || r.Inside}
	}
	cache, err := m.lm.Constraints()
	if err != nil && param == "tools" && !t.forced {
		return nil, nil
	} else if err != nil {
		return nil, refuse(param, "structured output is not possible: %s", err)
	}
	g, err := cache.Compile(*spec)
	if spec.Tools != nil && errors.Is(err, constrain.ErrSpec) {
		t.lenient(spec.Tools)
		g, err = cache.Compile(*spec)
	}
	if errors.Is(err, constrain.ErrSpec) {
		return nil, refuse(param, "%s", err)
	} else if err != nil {
		return nil, err
	}
	read.Sure = true
	return func() sched.Constraint { return g.Start() }, nil
}

// spec is what the parameters ask for, nil for nothing, and the parameter that does.
func (q *constraints) spec() (s *constrain.Spec, param string, err error) {
	if f := q.Format; f != nil && f.Type != "text" {
		const param = "response_format"
		switch {
		case q.Structured != nil:
			return nil, "", refuse(param, "response_format and structured_outputs: give one of them")
		case f.Type == "json_object":
			return &constrain.Spec{JSON: true}, param, nil
		case f.Type != "json_schema":
			return nil, "", refuse(param, "response_format of type %.40q: must be text, json_object or json_schema", f.Type)
		case f.Schema == nil || f.Schema.Schema == nil:
			return nil, "", refuse(param, "response_format without json_schema.schema")
		}
		return &constrain.Spec{Schema: f.Schema.Schema}, param, nil
	}
	v := q.Structured
	if v == nil {
		return nil, "", nil
	}
	var text string
	if json.Unmarshal(v.JSON, &text) == nil && text != "" {
		v.JSON = json.RawMessage(text)
	}
	return &constrain.Spec{JSON: v.Object, Schema: v.JSON, Regex: v.Regex, Choice: v.Choice, Grammar: v.Grammar}, "structured_outputs", nil
}

// lenient leaves out the schemas of tools that are not strict: their arguments are any object.
func (t *toolSet) lenient(spec *constrain.Tools) {
	for i := range spec.List {
		if f := &spec.List[i]; !t.find(f.Name).strict {
			f.Parameters = nil
		}
	}
}

// spec asks for calls of the tools.
func (t *toolSet) spec(format *calls.Format) *constrain.Tools {
	tools := &constrain.Tools{Format: format, Single: t.single, Free: !t.forced}
	for _, f := range t.list {
		if t.only == "" || f.name == t.only {
			tools.List = append(tools.List, constrain.Tool{Name: f.name, Parameters: f.parameters})
		}
	}
	return tools
}
