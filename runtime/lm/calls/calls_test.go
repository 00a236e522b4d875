package calls

import (
	"encoding/json"
	"fmt"
	"regexp"
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
	{"mistral:[ARGS]", `Yes.[TOOL_CALLS]f[ARGS]{"a": "]"}[TOOL_CALLS]g{"b": 2}`, []string{"t:Yes.", `c:f {"a": "]"}`, `c:g {"b": 2}`}},
	{"mistral", `[THINK]hm[/THINK][TOOL_CALLS]f[CALL_ID]123456789[ARGS]{}`, []string{"r:hm", "c:f {}"}},
	{"llama3_json", `{"name": "f", "parameters": {"a": 1}}`, []string{`c:f {"a": 1}`}},
	{"llama3_json", `<|python_tag|>{"name": "f", "parameters": {}}; {"name": "g", "parameters": {"b": 2}}`, []string{"c:f {}", `c:g {"b": 2}`}},
	{"llama3_json", `{"type": "function", "name": "f", "parameters": {}}`, []string{"c:f {}"}},
	{"llama3_json", `{"name": "Ann"`, []string{`t:{"name": "Ann"`}}, {"llama3_json", `It is {"name": "f"}`, []string{`t:It is {"name": "f"}`}},
	{"granite", `<|tool_call|>[{"name": "f", "arguments": {"a": 1}}]`, []string{`c:f {"a": 1}`}},
	{"phi4_mini_json", `<|tool_call|>[{"name": "f", "arguments": {"a": 1}}]<|/tool_call|>`, []string{`c:f {"a": 1}`}}, {"phi4_mini_json", `functools[{"name": "f", "arguments": {}}]`, []string{"c:f {}"}},
	{"hunyuan_a13b", `<tool_calls>[{"name": "f", "arguments": {}}]</tool_calls>`, []string{"c:f {}"}},
	{"cohere_command3", "<|START_THINKING|>p<|END_THINKING|><|START_ACTION|>[\n    {\"tool_call_id\": \"0\", \"tool_name\": \"f\", \"parameters\": {\"a\": 1}}\n]<|END_ACTION|>", []string{"r:p", `c:f {"a": 1}`}},
	{"deepseek_v3", "Hm.<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>f\n```json\n{\"a\": 1}\n```<｜tool▁call▁end｜>\n<｜tool▁call▁begin｜>function<｜tool▁sep｜>g\n```json\n{}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>", []string{"t:Hm.", `c:f {"a": 1}`, "c:g {}"}},
	{"deepseek_v31", `<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>f<｜tool▁sep｜>{"a": 1}<｜tool▁call▁end｜><｜tool▁calls▁end｜>`, []string{`c:f {"a": 1}`}},
	{"kimi_k2", `<|tool_calls_section_begin|><|tool_call_begin|>functions.f:0<|tool_call_argument_begin|>{"a": 1}<|tool_call_end|><|tool_call_begin|>functions.g:1<|tool_call_argument_begin|>{}<|tool_call_end|><|tool_calls_section_end|>`, []string{`c:f {"a": 1}`, "c:g {}"}},
	{"llama4_pythonic", `<|python_start|>[f(a=1, b='it\'s', c=[True, None, 1.5e+3], d={"k": (1, 2)}), g()]<|python_end|>`, []string{`c:f {"a":1,"b":"it's","c":[true,null,1.5e+3],"d":{"k":[1,2]}}`, "c:g {}"}},
	{"llama4_pythonic", `<|python_start|>f(x="é\n\u00fc")<|python_end|>`, []string{`c:f {"x":"é\nü"}`}}, {"llama4_pythonic", "<|python_start|>1 + 1<|python_end|>", []string{"t:<|python_start|>1 + 1<|python_end|>"}},
	{"openai", "<|channel|>analysis<|message|>Need weather.<|end|><|start|>assistant<|channel|>commentary to=functions.f <|constrain|>json<|message|>{\"a\": 1}<|call|>", []string{"r:Need weather.", `c:f {"a": 1}`}},
	{"openai", "<|channel|>analysis<|message|>x<|end|><|start|>assistant<|channel|>final<|message|>Hello <b>.<|return|>", []string{"r:x", "t:Hello <b>."}},
	{"pythonic", "[f(a=1)]", []string{`c:f {"a":1}`}}, {"pythonic", "[1, 2]", []string{"t:[1, 2]"}}, {"xlam", `[{"name": "f", "arguments": {}}]`, []string{"c:f {}"}},
	{"olmo3", "Hm <function_calls>\nf(a=1)\ng(b='x')\n</function_calls>", []string{"t:Hm ", `c:f {"a":1}`, `c:g {"b":"x"}`}},
	{"longcat", `<longcat_tool_call>{"name": "f", "arguments": {}}</longcat_tool_call>`, []string{"c:f {}"}},
	{"internlm", "Yes<|action_start|><|plugin|>\n{\"name\": \"f\", \"parameters\": {\"a\": 1}}<|action_end|>\n", []string{"t:Yes", `c:f {"a": 1}`}},
	{"granite", "Here is my thought process: hm. Here is my response: yes", []string{"r: hm. ", "t: yes"}},
	{"qwen3_coder", "<tool_call>\n<function=f>\n<parameter=text>\n3\n</parameter>\n</function>\n</tool_call>", []string{`c:f {"text":"3"}`}},
	{"openai", "<|channel|>final<|message|>cut sho", []string{"t:cut sho"}}, {"openai", "no channels", []string{"t:no channels"}},
	{"openai", "<|channel|>commentary<|message|>I will look.<|end|><|start|>assistant to=functions.f<|channel|>commentary<|message|>{}<|call|>", []string{"t:I will look.", "c:f {}"}},
}

// options are those of a format, with the family's reasoning; behind a colon stands a word of the template.
func options(t testing.TB, format string) (o Options) {
	name, word, _ := strings.Cut(format, ":")
	if name != "" {
		f, err := Named(name, "[TOOL_CALLS]"+word)
		if err != nil {
			t.Fatal(err)
		}
		o.Format = f
	}
	o.Reasoning = ReasoningForTemplate("<think></think>")
	if r, err := ReasoningNamed(name); err == nil && r.Open != "<think>" {
		o.Reasoning = r
	}
	o.Tools = []Tool{{Name: "f", Text: func(key string) bool { return key == "text" }}}
	return o
}

func (o Options) sure() Options { o.Sure = true; return o }

// Each answer gives the same whole, letter by letter, and cut in two anywhere.
func TestGoldens(t *testing.T) {
	seen := map[*Format]bool{}
	for _, g := range goldens {
		o := options(t, g.format)
		if o.Format != nil {
			seen[o.Format] = true
		}
		if got := show(Read(o, g.answer)); !slices.Equal(got, g.want) {
			t.Errorf("%s, %q:\n got %q\nwant %q", g.format, g.answer, got, g.want)
			continue
		}
		r := NewReader(o)
		var list []Piece
		for _, c := range g.answer {
			list = append(list, r.Next(string(c))...)
		}
		if got := show(append(list, r.End()...)); !slices.Equal(got, g.want) {
			t.Errorf("%s, %q, letter by letter:\n got %q\nwant %q", g.format, g.answer, got, g.want)
		}
		for cut := range g.answer {
			r := NewReader(o)
			list := append(r.Next(g.answer[:cut]), r.Next(g.answer[cut:])...)
			if got := show(append(list, r.End()...)); !slices.Equal(got, g.want) {
				t.Errorf("%s, %q, cut at %d:\n got %q\nwant %q", g.format, g.answer, cut, got, g.want)
				break
			}
		}
		for _, p := range Read(o, g.answer) {
			if p.Call != nil && !json.Valid([]byte(p.Call.Arguments)) {
				t.Errorf("%s: arguments %s", g.format, p.Call.Arguments)
			}
		}
	}
	for _, f := range formats {
		if !seen[f] {
			t.Errorf("no golden of %s %q", f.Name, f.Template)
		}
	}
}

func TestInside(t *testing.T) {
	r := ReasoningForTemplate("<think>")
	if got := show(Read(Options{Reasoning: r, Inside: true}, "hm</think>\n\nyes")); !slices.Equal(got, []string{"r:hm", "t:yes"}) {
		t.Errorf("%q", got)
	}
	if got := show(Read(Options{Reasoning: r, Inside: true}, "hm")); !slices.Equal(got, []string{"r:hm"}) {
		t.Errorf("%q", got)
	}
}

func TestForTemplate(t *testing.T) {
	for text, want := range map[string]string{
		"{{ '<tool_call>' }}": "hermes", "<tool_call>\n<function=example>": "qwen3_coder", "<tool_call>{{ name }}<arg_key>": "glm45", "[TOOL_CALLS]": "mistral", "<|im_start|>": "",
		"Environment: ipython": "llama3_json", "<|tool_call|>": "granite", "<|tool_call|><|/tool_call|>": "phi4_mini_json", "<｜tool▁calls▁begin｜>": "deepseek_v31", "<｜tool▁calls▁begin｜>```json": "deepseek_v3", "<|channel|>analysis<|message|>": "openai",
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

// unframed are calls in other spellings than the frame's, which only models that are free to write them do.
var unframed = regexp.MustCompile(`"g"}|"arguments": "|\]g\{|CALL_ID|"type": "function"`)

// TestSure: calls that a constraint keeps in the frame come as they are written: the name, then the arguments piece by piece.
func TestSure(t *testing.T) {
	for _, g := range goldens {
		o := options(t, g.format)
		if o.Format == nil || o.Format.Frame == nil || unframed.MatchString(g.answer) || !slices.ContainsFunc(g.want, func(w string) bool { return strings.HasPrefix(w, "c:") }) {
			continue
		}
		o.Sure = true
		r := NewReader(o)
		var list []Piece
		for _, c := range g.answer {
			list = append(list, r.Next(string(c))...)
		}
		if got := show(append(list, r.End()...)); !slices.Equal(got, g.want) {
			t.Errorf("%s, %q:\n got %q\nwant %q", g.format, g.answer, got, g.want)
		}
	}
	r := NewReader(options(t, "hermes").sure())
	for _, c := range []struct{ next, want string }{{"a <tool_", `t:a `}, {`call>{"name": "f", `, ""}, {`"arguments": {"x": "</tool_`, `c:f {"x": "</tool_`}, {`call>"`, `a:call>"`}, {"}}", `a:}`}, {"\n</tool_call>", ""}, {"\nb", "t:b"}} {
		got := ""
		for _, p := range r.Next(c.next) {
			switch {
			case p.Call != nil:
				got += "c:" + p.Call.Name + " " + p.Call.Arguments
			case p.Arguments != "" && strings.HasPrefix(got, "c:"):
				got += p.Arguments
			case p.Arguments != "":
				got += "a:" + p.Arguments
			default:
				got += "t:" + p.Text
			}
		}
		if got != c.want {
			t.Errorf("%q: %q, want %q", c.next, got, c.want)
		}
	}
}

// Whatever comes, in whatever pieces: no panic, calls have names and objects, and without calls nothing is lost but blanks between the parts.
func FuzzReader(f *testing.F) {
	for i, g := range goldens {
		f.Add(g.format, g.answer, i, i%2 == 0)
	}
	f.Fuzz(func(t *testing.T, format, answer string, cut int, sure bool) {
		if !utf8.ValidString(answer) {
			return
		}
		o := options(t, "")
		if f, err := Named(format, ""); err == nil {
			o.Format = f
		}
		o.Sure = sure
		whole := Read(o, answer)
		if cut = cut % (len(answer) + 1); cut < 0 || !utf8.ValidString(answer[:cut]) {
			return
		}
		r := NewReader(o)
		list := append(r.Next(answer[:cut]), r.Next(answer[cut:])...)
		if got, want := fmt.Sprint(show(append(list, r.End()...))), fmt.Sprint(show(whole)); got != want {
			t.Errorf("%s, %q cut at %d: %s, whole %s", format, answer, cut, got, want)
		}
		for _, p := range whole {
			if p.Call != nil && !sure && (p.Call.Name == "" || !strings.HasPrefix(p.Call.Arguments, "{") || !json.Valid([]byte(p.Call.Arguments))) {
				t.Errorf("%s: call %q", answer, *p.Call)
			}
		}
	})
}
