package serve

import (
	"fmt"
	"strings"
	"testing"
)

// split runs a splitter over a text cut into pieces of n bytes and writes what comes out.
func split(sp splitter, text string, n int) string {
	var text1, reasoning, calls strings.Builder
	take := func(list []piece) {
		for _, p := range list {
			text1.WriteString(p.text)
			reasoning.WriteString(p.reasoning)
			if p.call != nil {
				fmt.Fprintf(&calls, "%s(%s)", p.call.name, p.call.arguments)
			}
		}
	}
	for len(text) > 0 {
		k := min(n, len(text))
		take(sp.next(text[:k]))
		text = text[k:]
	}
	take(sp.end())
	return fmt.Sprintf("%q %q %s", text1.String(), reasoning.String(), calls.String())
}

func formatCalled(t *testing.T, name string) *toolFormat {
	for i := range toolFormats {
		if toolFormats[i].name == name {
			return &toolFormats[i]
		}
	}
	t.Fatalf("no format %s", name)
	return nil
}

// TestToolFormats: calls as each family writes them, however the text is cut; what is none stays text.
func TestToolFormats(t *testing.T) {
	for _, c := range []struct{ format, text, want string }{
		{"hermes", `Let me see. <tool_call>` + "\n" + `{"name": "f", "arguments": {"a": [1, "</x>"]}}` + "\n</tool_call>\n<tool_call>{\"name\":\"g\"}</tool_call>", `"Let me see. " "" f({"a": [1, "</x>"]})g({})`},
		{"hermes", `a <tool_call>not json</tool_call> b`, `"a <tool_call>not json</tool_call> b" "" `},
		{"hermes", `a <tool_call>{"name": "f", "arg`, `"a <tool_call>{\"name\": \"f\", \"arg" "" `},
		{"hermes", `a < b <tool_ca`, `"a < b <tool_ca" "" `},
		{"hermes", `<tool_call>{"name": "f", "arguments": "{\"a\": 1}"}</tool_call>`, `"" "" f({"a": 1})`},
		{"mistral", `[TOOL_CALLS][{"name": "f", "arguments": {"a": 1}}, {"name": "g", "arguments": {}}]`, `"" "" f({"a": 1})g({})`},
		{"mistral", `[TOOL_CALLS]f[ARGS]{"a": 1}[TOOL_CALLS]g{"b": 2}`, `"" "" f({"a": 1})g({"b": 2})`},
		{"mistral", `[TOOL_CALLS]f[ARGS]{"a": `, `"[TOOL_CALLS]f[ARGS]{\"a\": " "" `},
		{"llama3", `{"name": "f", "parameters": {"a": "};"}}; {"name": "g", "parameters": {}}`, `"" "" f({"a": "};"})g({})`},
		{"llama3", `<|python_tag|>{"name": "f", "parameters": {}}`, `"" "" f({})`},
		{"llama3", `{"names": 1}`, `"{\"names\": 1}" "" `},
		{"llama3", `The {"name": "f"}`, `"The {\"name\": \"f\"}" "" `},
		{"granite", `<|tool_call|>[{"name": "f", "arguments": {}}]`, `"" "" f({})`},
		{"qwen3-coder", "<tool_call>\n<function=f>\n<parameter=a>\n1\n</parameter>\n<parameter=b>\ntwo\nlines\n</parameter>\n</function>\n</tool_call>", `"" "" f({"a":1,"b":"two\nlines"})`},
	} {
		for _, n := range []int{1, 2, 7, 1000} {
			if got := split(&caller{format: formatCalled(t, c.format)}, c.text, n); got != c.want {
				t.Errorf("%s, %d bytes at once: %s\n%s, want\n%s", c.format, n, c.text, got, c.want)
			}
		}
	}
}

// TestReasoner: reasoning is parted from the answer, and calls in it are none.
func TestReasoner(t *testing.T) {
	for _, c := range []struct {
		inside     bool
		text, want string
	}{
		{false, "<think>\nhm <tool_call>\n</think>\n\nYes", `"Yes" "\nhm <tool_call>\n" `},
		{false, "\n<think>a</think>b<think>c</think>", `"b<think>c</think>" "a" `},
		{true, "a</think>b", `"b" "a" `},
		{true, "a</thin", `"" "a</thin" `},
		{false, "<thing>", `"<thing>" "" `},
		{false, "", `"" "" `},
		{false, "<think", `"<think" "" `},
		{false, "<think>a</think>\n" + `<tool_call>{"name":"f"}</tool_call>`, `"" "a" f({})`},
	} {
		for _, n := range []int{1, 3, 1000} {
			if got := split(&reasoner{inside: c.inside, then: &caller{format: formatCalled(t, "hermes")}}, c.text, n); got != c.want {
				t.Errorf("%q, %d bytes at once: %s, want %s", c.text, n, got, c.want)
			}
		}
	}
}

// FuzzSplit: whatever comes, no splitter loses text that is neither a mark nor a call, and cuts make no difference.
func FuzzSplit(f *testing.F) {
	f.Add(`a<tool_call>{"name":"f"}</tool_call><think>b`, 3)
	f.Add(`[TOOL_CALLS]f[ARGS]{}`, 1)
	f.Add(`<|python_tag|>{"name":`, 2)
	f.Fuzz(func(t *testing.T, text string, n int) {
		n = max(n, 1)
		for i := range toolFormats {
			format := &toolFormats[i]
			if a, b := split(&caller{format: format}, text, n), split(&caller{format: format}, text, len(text)+1); a != b {
				t.Errorf("%s: in pieces of %d %s\nat once %s", format.name, n, a, b)
			}
		}
		if a, b := split(&reasoner{then: plain{}}, text, n), split(&reasoner{then: plain{}}, text, len(text)+1); a != b {
			t.Errorf("in pieces of %d %s\nat once %s", n, a, b)
		}
	})
}
