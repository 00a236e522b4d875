package constrain

import "fmt"

// Tools asks for a list of calls, [{"name": "f", "arguments": {..}}, ..], and nothing else.
type Tools struct {
	List   []Tool // that may be called
	Single bool   // one call, not up to maxCalls
}

// Tool is a function. Parameters is the JSON Schema of its arguments; nil: any object.
type Tool struct {
	Name       string
	Parameters []byte
}

// maxCalls ends the list for models that would go on for ever.
const maxCalls = 16

func (b *builder) tools(t *Tools) int32 {
	var calls []expr
	for _, tool := range t.List {
		calls = append(calls, seq(lit(`{"name"`), colon, lit(quoted(tool.Name)), comma, lit(`"arguments"`), colon, ref(b.arguments(tool)), lit("}")))
	}
	if len(calls) == 0 {
		b.fail("no tools to call")
	}
	most := maxCalls
	if t.Single {
		most = 1
	}
	call := ref(b.rule("call", alt(calls...)))
	return b.rule("root", seq(lit("["), call, rep(seq(comma, call), 0, most-1), lit("]")))
}

// arguments is the rule of a tool's arguments.
func (b *builder) arguments(t Tool) int32 {
	if t.Parameters == nil {
		return b.jsonObject()
	}
	defer func() { // say whose schema it is
		if r := recover(); r != nil {
			if f, ok := r.(failure); ok {
				r = failure{fmt.Errorf("tool %.60q: %w", t.Name, f.error)}
			}
			panic(r)
		}
	}()
	return b.schema(t.Parameters)
}
