package calls

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// show writes pieces as lines: t: text, r: reasoning, c: a call.
func show(pieces []Piece) (lines []string) {
	for _, p := range Join(pieces) {
		switch {
		case p.Call != nil:
			lines = append(lines, "c:"+p.Call.Name+" "+p.Call.Arguments)
		case p.Reasoning != "":
			lines = append(lines, "r:"+p.Reasoning)
		default:
			lines = append(lines, "t:"+p.Text)
		}
	}
	return lines
}

// goldens are answers as models of each family write them, and what they are.
var goldens = []struct {
	format, answer string
	want           []string
}{
	{"", "Hello.", []string{"t:Hello."}},
	{"", "<think>\nhm\n</think>\n\nHello <think>.", []string{"r:\nhm\n", "t:Hello <think>."}},
	{"", "<thin ice", []string{"t:<thin ice"}}, {"", "<think>for ever", []string{"r:for ever"}}, {"", "", nil},
	{"hermes", `<tool_call>` + "\n" + `{"name": "f", "arguments": {"a": [1, "<x>"]}}` + "\n</tool_call>", []string{`c:f {"a": [1, "<x>"]}`}},
	{"hermes", "<think>t</think>\nLook:\n<tool_call>{\"name\":\"f\",\"arguments\":{}}</tool_call>\n<tool_call>{\"name\":\"g\"}</tool_call>\nDone", []string{"r:t", "t:Look:\n", "c:f {}", "c:g {}", "t:Done"}},
	{"hermes", `<tool_call>{"name": "f", "arguments": "{\"a\": 1}"}`, []string{`c:f {"a": 1}`}},
	{"hermes", "<tool_call>not json</tool_call> and <tool_cal", []string{"t:<tool_call>not json</tool_call> and <tool_cal"}},
	{"hermes", `<tool_call>{"name": "f", "arguments": [1]}</tool_call>`, []string{`t:<tool_call>{"name": "f", "arguments": [1]}</tool_call>`}},
	{"qwen3_coder", "<tool_call>\n<function=f>\n<parameter=a>\n3\n</parameter>\n<parameter=b>\ntwo\nlines\n</parameter>\n</function>\n</tool_call>", []string{`c:f {"a":3,"b":"two\nlines"}`}},
	{"qwen3_coder", "<tool_call><function=f></function></tool_call>", []string{"c:f {}"}},
	{"qwen3_coder", "<tool_call><function=f></tool_call>", []string{"t:<tool_call><function=f></tool_call>"}},
	{"seed_oss", "<seed:think>x</seed:think><seed:tool_call>\n<function=f>\n<parameter=a>true</parameter>\n</function>\n</seed:tool_call>", []string{"r:x", `c:f {"a":true}`}},
	{"minimax_m2", "<minimax:tool_call>\n<invoke name=\"f\">\n<parameter name=\"a\">x</parameter>\n</invoke>\n<invoke name=\"g\">\n</invoke>\n</minimax:tool_call>", []string{`c:f {"a":"x"}`, "c:g {}"}},
	{"glm45", "<think></think>\n<tool_call>f\n<arg_key>city</arg_key>\n<arg_value>Bern</arg_value>\n<arg_key>n</arg_key>\n<arg_value>2</arg_value>\n</tool_call>", []string{`c:f {"city":"Bern","n":2}`}},
	{"glm45", "<tool_call>f</tool_call>", []string{"c:f {}"}}, {"glm45", "<tool_call>no name here</tool_call>", []string{"t:<tool_call>no name here</tool_call>"}},
	{"mistral", `[TOOL_CALLS] [{"name": "f", "arguments": {"a": 1}}, {"name": "g", "arguments": {}}]`, []string{`c:f {"a": 1}`, "c:g {}"}},
	{"mistral", `Yes.[TOOL_CALLS]f[ARGS]{"a": "]"}[TOOL_CALLS]g{"b": 2}`, []string{"t:Yes.", `c:f {"a": "]"}`, `c:g {"b": 2}`}},
	{"mistral", `[THINK]hm[/THINK][TOOL_CALLS]f[CALL_ID]123456789[ARGS]{}`, []string{"r:hm", "c:f {}"}},
	{"llama3_json", `{"name": "f", "parameters": {"a": 1}}`, []string{`c:f {"a": 1}`}},
	{"llama3_json", `<|python_tag|>{"name": "f", "parameters": {}}; {"name": "g", "parameters": {"b": 2}}`, []string{"c:f {}", `c:g {"b": 2}`}},
	{"llama3_json", `{"type": "function", "name": "f", "parameters": {}}`, []string{"c:f {}"}},
	{"llama3_json", `{"name": "Ann"`, []string{`t:{"name": "Ann"`}}, {"llama3_json", `It is {"name": "f"}`, []string{`t:It is {"name": "f"}`}},
	{"granite", `<|tool_call|>[{"name": "f", "arguments": {"a": 1}}]`, []string{`c:f {"a": 1}`}},
	{"phi4_mini_json", `<|tool_call|>[{"name": "f", "arguments": {"a": 1}}]<|/tool_call|>`, []string{`c:f {"a": 1}`}}, {"phi4_mini_json", `functools[{"name": "f", "arguments": {}}]`, []string{"c:f {}"}},
	{"hunyuan_a13b", `<tool_calls>[{"name": "f", "arguments": {}}]</tool_calls>`, []string{"c:f {}"}},
	{"command", "<|START_THINKING|>p<|END_THINKING|><|START_ACTION|>[\n    {\"tool_call_id\": \"0\", \"tool_name\": \"f\", \"parameters\": {\"a\": 1}}\n]<|END_ACTION|>", []string{"r:p", `c:f {"a": 1}`}},
	{"deepseek", "Hm.<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>f\n```json\n{\"a\": 1}\n```<｜tool▁call▁end｜>\n<｜tool▁call▁begin｜>function<｜tool▁sep｜>g\n```json\n{}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>", []string{"t:Hm.", `c:f {"a": 1}`, "c:g {}"}},
	{"deepseek", `<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>f<｜tool▁sep｜>{"a": 1}<｜tool▁call▁end｜><｜tool▁calls▁end｜>`, []string{`c:f {"a": 1}`}},
	{"kimi_k2", `<|tool_calls_section_begin|><|tool_call_begin|>functions.f:0<|tool_call_argument_begin|>{"a": 1}<|tool_call_end|><|tool_call_begin|>functions.g:1<|tool_call_argument_begin|>{}<|tool_call_end|><|tool_calls_section_end|>`, []string{`c:f {"a": 1}`, "c:g {}"}},
	{"pythonic", `<|python_start|>[f(a=1, b='it\'s', c=[True, None, 1.5e+3], d={"k": (1, 2)}), g()]<|python_end|>`, []string{`c:f {"a":1,"b":"it's","c":[true,null,1.5e+3],"d":{"k":[1,2]}}`, "c:g {}"}},
	{"pythonic", `<|python_start|>f(x="é\n\u00fc")<|python_end|>`, []string{`c:f {"x":"é\nü"}`}}, {"pythonic", "<|python_start|>1 + 1<|python_end|>", []string{"t:<|python_start|>1 + 1<|python_end|>"}},
	{"harmony", "<|channel|>analysis<|message|>Need weather.<|end|><|start|>assistant<|channel|>commentary to=functions.f <|constrain|>json<|message|>{\"a\": 1}<|call|>", []string{"r:Need weather.", `c:f {"a": 1}`}},
	{"harmony", "<|channel|>analysis<|message|>x<|end|><|start|>assistant<|channel|>final<|message|>Hello <b>.<|return|>", []string{"r:x", "t:Hello <b>."}},
	{"harmony", "<|channel|>final<|message|>cut sho", []string{"t:cut sho"}}, {"harmony", "no channels", []string{"t:no channels"}},
	{"harmony", "<|channel|>commentary<|message|>I will look.<|end|><|start|>assistant to=functions.f<|channel|>commentary<|message|>{}<|call|>", []string{"t:I will look.", "c:f {}"}},
}

// Each answer gives the same whole, letter by letter, and cut in two anywhere.
func TestGoldens(t *testing.T) {
	seen := map[string]bool{}
	for _, g := range goldens {
		f := Named(g.format)
		if f == nil && g.format != "" {
			t.Fatalf("no format %q", g.format)
		}
		seen[g.format] = true
		if got := show(Read(f, false, g.answer)); !slices.Equal(got, g.want) {
			t.Errorf("%s, %q:\n got %q\nwant %q", g.format, g.answer, got, g.want)
			continue
		}
		r := NewReader(f, false)
		var list []Piece
		for _, c := range g.answer {
			list = append(list, r.Next(string(c))...)
		}
		if got := show(append(list, r.End()...)); !slices.Equal(got, g.want) {
			t.Errorf("%s, %q, letter by letter:\n got %q\nwant %q", g.format, g.answer, got, g.want)
		}
		for cut := range g.answer {
			r := NewReader(f, false)
			list := append(r.Next(g.answer[:cut]), r.Next(g.answer[cut:])...)
			if got := show(append(list, r.End()...)); !slices.Equal(got, g.want) {
				t.Errorf("%s, %q, cut at %d:\n got %q\nwant %q", g.format, g.answer, cut, got, g.want)
				break
			}
		}
		for _, p := range Read(f, false, g.answer) {
			if p.Call != nil && !json.Valid([]byte(p.Call.Arguments)) {
				t.Errorf("%s: arguments %s", g.format, p.Call.Arguments)
			}
		}
	}
	for _, name := range Names() {
		if !seen[name] {
			t.Errorf("no golden of %s", name)
		}
	}
}

func TestInside(t *testing.T) {
	if got := show(Read(nil, true, "hm</think>\n\nyes")); !slices.Equal(got, []string{"r:hm", "t:yes"}) {
		t.Errorf("%q", got)
	}
	if got := show(Read(nil, true, "hm")); !slices.Equal(got, []string{"r:hm"}) {
		t.Errorf("%q", got)
	}
}

func TestForTemplate(t *testing.T) {
	for text, want := range map[string]string{
		"{{ '<tool_call>' }}": "hermes", "<tool_call>\n<function=example>": "qwen3_coder", "<tool_call>{{ name }}<arg_key>": "glm45", "[TOOL_CALLS]": "mistral", "<|im_start|>": "",
		"Environment: ipython": "llama3_json", "<|tool_call|>": "granite", "<|tool_call|><|/tool_call|>": "phi4_mini_json", "<｜tool▁calls▁begin｜>": "deepseek", "<|channel|>analysis<|message|>": "harmony",
	} {
		got := ""
		if f := ForTemplate(text); f != nil {
			got = f.Name
		}
		if got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

// Whatever comes, in whatever pieces: no panic, calls have names and objects, and without calls nothing is lost but blanks between the parts.
func FuzzReader(f *testing.F) {
	for i, g := range goldens {
		f.Add(g.format, g.answer, i)
	}
	f.Fuzz(func(t *testing.T, format, answer string, cut int) {
		if !utf8.ValidString(answer) {
			return
		}
		form := Named(format)
		whole := Read(form, false, answer)
		if cut = cut % (len(answer) + 1); cut < 0 || !utf8.ValidString(answer[:cut]) {
			return
		}
		r := NewReader(form, false)
		list := append(r.Next(answer[:cut]), r.Next(answer[cut:])...)
		if got, want := fmt.Sprint(show(append(list, r.End()...))), fmt.Sprint(show(whole)); got != want {
			t.Errorf("%s, %q cut at %d: %s, whole %s", format, answer, cut, got, want)
		}
		for _, p := range whole {
			if p.Call != nil && (p.Call.Name == "" || !strings.HasPrefix(p.Call.Arguments, "{") || !json.Valid([]byte(p.Call.Arguments))) {
				t.Errorf("%s: call %q", answer, *p.Call)
			}
		}
	})
}
