package constrain

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"qpt/runtime/lm/calls"
)

const toolSchema = `{"type":"object","properties":{"unit":{"enum":["c","k"]},"text":{"type":"string","maxLength":9},"n":{"type":"integer","minimum":1,"maximum":99},"list":{"type":"array","items":{"type":"boolean"},"maxItems":2},"note":{"type":"string"}},"required":["unit","text","n"],"additionalProperties":false}`

var toolList = []Tool{{"get_it", []byte(toolSchema)}, {"now", []byte(`{"type":"object","properties":{},"additionalProperties":false}`)}}

// framed are the formats that calls can be asked for in.
var framed = []string{"list", "hermes", "qwen3_coder", "glm45", "seed_oss", "minimax_m2", "deepseek_v3", "deepseek_v31", "kimi_k2", "mistral", "mistral:[ARGS]", "cohere_command3", "phi4_mini_json", "granite", "internlm", "llama3_json", "hunyuan_a13b", "openai", "longcat", "xlam"}

func toolFormat(t *testing.T, name string) *calls.Format {
	if name == "list" {
		return calls.List
	}
	name, word, _ := strings.Cut(name, ":")
	f, err := calls.Named(name, "[TOOL_CALLS]"+word)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// Calls that are asked for, whatever the model would like, are found by the reader of the format, and their arguments are valid: alone,
// behind text that the model was free to write, and letter by letter.
func TestToolCalls(t *testing.T) {
	judge := Judge(t, toolSchema)
	for i, name := range framed {
		format := toolFormat(t, name)
		for _, c := range []struct {
			free, single bool
			begin        string
		}{{}, {single: true}, {free: true, begin: "Hi. "}, {free: true, single: true, begin: "Hi."}} {
			begin := ""
			if c.free {
				if begin = c.begin; len(format.Open) > 0 {
					begin += format.Open[0]
				} else {
					begin = format.Frame.Begin + format.Frame.Head + `now"`
				}
			}
			g, err := small.Compile(Spec{Tools: &Tools{List: toolList, Format: format, Single: c.single, Free: c.free}})
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			tools := []calls.Tool{{Name: "get_it", Text: func(key string) bool { return key == "text" || key == "note" }}}
			for seed := range 6 {
				text := drawFrom(t, g, begin, newRand(100*i+seed), 20*seed)
				options := calls.Options{Format: format, Tools: tools, Sure: true}
				shown := strings.ReplaceAll(text, Special, "")
				r := calls.NewReader(options)
				var byLetter []calls.Piece
				for k := range len(shown) {
					byLetter = append(byLetter, r.Next(shown[k:k+1])...)
				}
				byLetter = calls.Join(append(byLetter, r.End()...))
				list := calls.Read(options, shown)
				n := 0
				for k, p := range list {
					switch {
					case p.Call == nil && !c.free:
						t.Errorf("%s: %q: text %q", name, text, p.Text)
					case p.Call == nil:
					case p.Call.Name == "get_it":
						if err := Valid(t, judge, p.Call.Arguments); err != nil {
							t.Errorf("%s: %q: %s: %v", name, text, p.Call.Arguments, err)
						}
						n++
					case p.Call.Name != "now" || strings.TrimSpace(p.Call.Arguments) != "{}":
						t.Errorf("%s: %q: %v", name, text, *p.Call)
					default:
						n++
					}
					if k < len(byLetter) && show(p) != show(byLetter[k]) {
						t.Errorf("%s: %q: %s, letter by letter %s", name, text, show(p), show(byLetter[k]))
					}
				}
				if n == 0 || n > 1 && c.single || n > maxCalls && !c.free {
					t.Errorf("%s, %+v: %q: %d calls", name, c, text, n)
				}
			}
		}
	}
}

func show(p calls.Piece) string {
	if p.Call != nil {
		return fmt.Sprint(*p.Call)
	}
	return fmt.Sprintf("%q %q", p.Text, p.Reasoning)
}

// What is free stays free, and what has begun as a call is one; reasoning is neither.
func TestFree(t *testing.T) {
	think := &Reasoning{Open: "<think>", Close: "</think>"}
	schema := []byte(`{"const":7}`)
	hermes, llama, coder := toolFormat(t, "hermes"), toolFormat(t, "llama3_json"), toolFormat(t, "qwen3_coder")
	list := []Tool{{"f", []byte(`{"type":"object","properties":{"x":{"type":"integer"}},"required":["x"]}`)}}
	text := []Tool{{"f", []byte(`{"type":"object","properties":{"x":{"type":"string","pattern":"^<?b"},"y":{"type":"string","enum":["a<","3"]},"z":{"anyOf":[{"type":"string"},{"type":"null"}]}}}`)}}
	for _, c := range []struct {
		spec    Spec
		in, out []string
	}{
		{Spec{Tools: &Tools{List: list, Format: hermes, Free: true}},
			[]string{"", "Hello <tool_cal", "\xff<s>\xc3", `<tool_call>{"name": "f", "arguments": {"x": 1}}</tool_call>`, "a\xff<tool_call>\n{\"name\":\"f\",\"arguments\":{\"x\": 1}}\n\xff</tool_call>\nb <tool_call>{\"name\": \"f\", \"arguments\": {\"x\": 2}}</tool_call>", "{\"name\": \"f\""},
			[]string{"<tool_call>", "<tool_call>hm", `<tool_call>{"name": "g"`, `<tool_call>{"name": "f", "arguments": {"x": 1}}`, `<tool_call>{"name": "f", "arguments": {}}</tool_call>`}},
		{Spec{Tools: &Tools{List: list, Format: hermes, Free: true, Single: true}}, []string{`a <tool_call>{"name": "f", "arguments": {"x": 1}}</tool_call>`}, []string{`<tool_call>{"name": "f", "arguments": {"x": 1}}</tool_call> b`}},
		{Spec{Reasoning: think, Tools: &Tools{List: list, Format: hermes, Free: true}},
			[]string{"<think> <tool_call> x </think>", "\xff<think>\n</think>\n\n<tool_call>{\"name\": \"f\", \"arguments\": {\"x\": 1}}</tool_call>", "<think", "a <think>"}, []string{"<think>a", "<think> x </think> <tool_call>hm", "a <think> <tool_call>x"}},
		{Spec{Reasoning: &Reasoning{Close: "</think>", Inside: true}, Tools: &Tools{List: list, Format: hermes, Free: true}}, []string{"<tool_call>hm</think>", "</think>x"}, []string{"", "hm", "</think><tool_call>a"}},
		{Spec{Tools: &Tools{List: list, Format: llama, Free: true}},
			[]string{`{"name": "f", "parameters": {"x": 1}}; {"name": "f", "parameters": {"x": 2}}`, `{"name": "Ann", "age": 3}`, ` {"name":"f","parameters":{"x":1}}`, "So {\"name\": \"f\"", `<|python_tag|>{"name": "f", "parameters": {"x": 1}}`}, []string{`{"name": "f"}`, `<|python_tag|>print(1)`, `{"name": "f", "parameters": {}}`}},
		{Spec{Tools: &Tools{List: text, Format: coder}},
			[]string{"<tool_call>\n<function=f>\n<parameter=x>\n<b\"\n</parameter>\n<parameter=y>\n3\n</parameter>\n<parameter=z>\n\"s\"\n</parameter>\n</function>\n</tool_call>", "<tool_call><function=f></function></tool_call>", "<tool_call><function=f><parameter=x>\nb</parameter\n</parameter></function></tool_call>"},
			[]string{"", "<tool_call>\n<function=f>\n<parameter=x>\nc\n</parameter>\n</function>\n</tool_call>", "<tool_call><function=f><parameter=z>\ns\n</parameter></function></tool_call>", "<tool_call><function=f><parameter=x>\nb</parameter> </parameter></function></tool_call>"}},
		{Spec{Schema: schema, Tools: &Tools{List: list, Format: hermes}}, []string{"7", `<tool_call>{"name": "f", "arguments": {"x": 1}}</tool_call>`}, []string{"", "8", "7<tool_call>"}},
		{Spec{Schema: schema, Reasoning: think}, []string{"7", "<think>\nhm 8</think>\n\n7", "\n\xff<think>\xff</think>7"}, []string{"<think>", "<think>7", "hm 7"}},
		{Spec{Schema: schema, Reasoning: &Reasoning{Open: "<think>", Close: "</think>", Inside: true}}, []string{"</think>7", "a <b </think>\n\n7"}, []string{"7", "</think></think>7"}},
	} {
		g, err := small.Compile(c.spec)
		if err != nil {
			t.Errorf("%s: %v", c.spec.Key(), err)
			continue
		}
		for _, s := range slices.Concat(c.in, c.out) {
			if want := slices.Contains(c.in, s); g.Matches(s) != want {
				t.Errorf("%s: %q: %v, want %v", c.spec.Key(), s, !want, want)
			}
		}
	}
	if _, err := small.Compile(Spec{Tools: &Tools{List: list, Format: toolFormat(t, "pythonic")}}); err == nil || !strings.Contains(err.Error(), "cannot be asked for") {
		t.Errorf("pythonic: %v", err)
	}
}

// Arguments are an object whatever the tool's schema allows besides.
func TestArgumentsAreAnObject(t *testing.T) {
	for _, parameters := range []string{`{}`, `{"properties":{"a":{"type":"boolean"}}}`, `{"anyOf":[{"type":"number"},{"type":"object"}]}`} {
		g, err := small.Compile(Spec{Tools: &Tools{List: []Tool{{"f", []byte(parameters)}}, Format: toolFormat(t, "hermes")}})
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			arguments string
			want      bool
		}{{"{}", true}, {"433", false}, {`"a"`, false}, {"[]", false}, {"null", false}} {
			if text := `<tool_call>` + "\n" + `{"name": "f", "arguments": ` + c.arguments + `}` + "\n" + `</tool_call>`; g.Matches(text) != c.want {
				t.Errorf("%s: %q is taken: %v", parameters, text, !c.want)
			}
		}
	}
}
