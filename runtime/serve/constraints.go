package serve

import (
	"encoding/json"
	"errors"
	"slices"

	"qpt/runtime/lm/calls"
	"qpt/runtime/lm/constrain"
	"qpt/runtime/serve/sched"
)

// constraints are the parameters that say what form an answer must have: OpenAI's, vLLM's, vLLM's by their older names, llama-server's.
type constraints struct {
	Format        *responseFormat `json:"response_format"`
	Structured    *structured     `json:"structured_outputs"`
	GuidedJSON    json.RawMessage `json:"guided_json"`
	GuidedRegex   string          `json:"guided_regex"`
	GuidedChoice  []string        `json:"guided_choice"`
	GuidedGrammar string          `json:"guided_grammar"`
	Schema        json.RawMessage `json:"json_schema"`
	Grammar       string          `json:"grammar"`
}

type responseFormat struct {
	Type   string `json:"type"`
	Schema *struct {
		Schema json.RawMessage `json:"schema"`
	} `json:"json_schema"`
	Object json.RawMessage `json:"schema"` // of json_object, as llama-server has it
}

// structured is vLLM's parameter: one of its fields.
type structured struct {
	JSON    json.RawMessage `json:"json"` // a schema, or a text that holds one
	Object  bool            `json:"json_object"`
	Regex   string          `json:"regex"`
	Choice  []string        `json:"choice"`
	Grammar string          `json:"grammar"`
	Tag     json.RawMessage `json:"structural_tag"`
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
	take := func(name string, given bool, spec *constrain.Spec) {
		switch {
		case !given || err != nil:
		case s != nil:
			err = refuse(name, "%s and %s: give one of them", param, name)
		default:
			s, param = spec, name
		}
	}
	if f := q.Format; f != nil {
		switch {
		case f.Type == "json_schema" && (f.Schema == nil || f.Schema.Schema == nil):
			return nil, "", refuse("response_format", "response_format without json_schema.schema")
		case f.Type == "json_schema":
			take("response_format", true, &constrain.Spec{Schema: f.Schema.Schema})
		case f.Type != "text" && f.Type != "json_object":
			return nil, "", refuse("response_format", "response_format of type %.40q: must be text, json_object or json_schema", f.Type)
		}
		take("response_format", f.Type == "json_object", &constrain.Spec{JSON: f.Object == nil, Schema: f.Object})
	}
	if v := q.Structured; v != nil {
		if v.Tag != nil {
			return nil, "", refuse("structured_outputs", "structured_outputs.structural_tag is not supported: give tools, or a grammar")
		}
		take("structured_outputs", true, &constrain.Spec{JSON: v.Object, Schema: schemaOf(v.JSON), Regex: v.Regex, Choice: v.Choice, Grammar: v.Grammar})
	}
	take("guided_json", q.GuidedJSON != nil, &constrain.Spec{Schema: schemaOf(q.GuidedJSON)})
	take("guided_regex", q.GuidedRegex != "", &constrain.Spec{Regex: q.GuidedRegex})
	take("guided_choice", q.GuidedChoice != nil, &constrain.Spec{Choice: q.GuidedChoice})
	take("guided_grammar", q.GuidedGrammar != "", &constrain.Spec{Grammar: q.GuidedGrammar})
	take("json_schema", q.Schema != nil, &constrain.Spec{Schema: schemaOf(q.Schema)})
	take("grammar", q.Grammar != "", &constrain.Spec{Grammar: q.Grammar})
	return s, param, err
}

// schemaOf is a schema, which may come as a text that holds it.
func schemaOf(raw json.RawMessage) json.RawMessage {
	var text string
	if json.Unmarshal(raw, &text) == nil && text != "" {
		return json.RawMessage(text)
	}
	return raw
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
		if t.only == nil || slices.Contains(t.only, f.name) {
			tools.List = append(tools.List, constrain.Tool{Name: f.name, Parameters: f.parameters})
		}
	}
	return tools
}
