package serve

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// TestToolStreams: a call comes as its name, then its arguments piece by piece, and is the one that comes whole, in each API.
func TestToolStreams(t *testing.T) {
	s := start(t, Options{})
	const user = `"messages":[{"role":"user","content":"Once upon a time"}],"max_tokens":200,"temperature":1,"seed":5,`
	chat := `{` + user + `"tools":[` + weatherTool + `],"tool_choice":"required","parallel_tool_calls":false`
	want := s.ask("/v1/chat/completions", chat+`}`).str("choices.0.message.tool_calls.0.function.arguments")
	if !json.Valid([]byte(want)) || s.ask("/v1/chat/completions", chat+`}`).str("choices.0.finish_reason") != "tool_calls" {
		t.Fatalf("the whole call: %q", want)
	}
	list, _ := s.events("/v1/chat/completions", chat+`,"stream":true}`)
	args, pieces := "", 0
	for _, e := range list {
		c := "choices.0.delta.tool_calls.0."
		if e.at(c+"index") == nil {
			continue
		}
		if first := pieces == 0; first != (e.str(c+"id") != "") || first != (e.str(c+"function.name") == "get_weather") || first != (e.str(c+"type") == "function") {
			t.Errorf("piece %d: %s", pieces, compact(e.v))
		}
		pieces++
		args += e.str(c + "function.arguments")
	}
	if args != want || pieces < 4 {
		t.Errorf("streamed %q in %d pieces, whole %q", args, pieces, want)
	}
	fields := func(v string) string { // with the order of keys that Go writes
		var m any
		if err := json.Unmarshal([]byte(v), &m); err != nil {
			t.Errorf("%q: %v", v, err)
		}
		return compact(m)
	}
	anthropic := `{` + strings.Replace(user, `"seed":5,`, "", 1) + `"tool_choice":{"type":"any","disable_parallel_tool_use":true},"tools":[{"name":"get_weather","input_schema":{"type":"object","properties":{"unit":{"const":"kelvin"}},"required":["unit"]}}]`
	m := s.ask("/v1/messages", anthropic+`}`)
	if compact(m.at("content.0.input")) != fields(`{"unit":"kelvin"}`) || m.str("stop_reason") != "tool_use" {
		t.Errorf("messages: %s", compact(m.v))
	}
	list, _ = s.events("/v1/messages", anthropic+`,"stream":true}`)
	args = ""
	for _, e := range list {
		args += e.str("delta.partial_json")
	}
	if fields(args) != fields(`{"unit":"kelvin"}`) {
		t.Errorf("messages, streamed: %q", args)
	}
	responses := `{"input":"x","max_output_tokens":200,"tool_choice":"required","parallel_tool_calls":false,"tools":[{"type":"function","name":"f","strict":true,"parameters":{"type":"object","properties":{"unit":{"const":"kelvin"}},"required":["unit"],"additionalProperties":false}}]`
	if got := s.ask("/v1/responses", responses+`}`).str("output.0.arguments"); fields(got) != fields(`{"unit":"kelvin"}`) {
		t.Errorf("responses: %q", got)
	}
	list, _ = s.events("/v1/responses", responses+`,"stream":true}`)
	args = ""
	for _, e := range list {
		switch e.str("type") {
		case "response.function_call_arguments.delta":
			args += e.str("delta")
		case "response.function_call_arguments.done":
			if e.str("arguments") != args || fields(args) != fields(`{"unit":"kelvin"}`) {
				t.Errorf("responses, streamed: %q, at the end %q", args, e.str("arguments"))
			}
		}
	}
	for n := 1; n < 40; n++ { // a call that is cut off has arguments that are, and no text
		r := s.ask("/v1/chat/completions", strings.Replace(chat, `"max_tokens":200`, fmt.Sprint(`"max_tokens":`, n), 1)+`}`)
		if text := r.str("choices.0.message.content"); text != "" || !strings.HasPrefix(want, r.str("choices.0.message.tool_calls.0.function.arguments")) {
			t.Errorf("cut after %d tokens: %s", n, compact(r.v))
		}
	}
	ollama := s.ask("/api/chat", `{"messages":[{"role":"user","content":"x"}],"stream":false,"options":{"num_predict":8},"tools":[`+weatherTool+`]}`)
	if ollama.str("message.content") == "" {
		t.Errorf("ollama: %s", compact(ollama.v))
	}
}

// TestParsers: the template tells how answers are read, unless the options do.
func TestParsers(t *testing.T) {
	m := &model{}
	for _, c := range []struct{ template, tools, reasoning, calls, thinks, err string }{
		{"<tool_call><think></think>", "", "", "hermes", "qwen3", ""},
		{"<tool_call><think>", "qwen3_xml", "deepseek_r1", "qwen3_coder", "deepseek_r1", ""},
		{"", "", "", "", "", ""}, {"", "mistral", "", "mistral", "", ""},
		{"", "hermit", "", "", "", `"hermit" is no parser of calls of tools; these are: cohere_command3`},
		{"", "", "deepsick", "", "", `"deepsick" is no parser of reasoning`},
	} {
		err := m.setFamily(c.template, &Options{ToolParser: c.tools, ReasoningParser: c.reasoning})
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%+v: %v", c, err)
			}
			continue
		}
		name, thinks := "", ""
		if m.calls != nil {
			name = m.calls.Name
		}
		if m.reasoning != nil {
			thinks = m.reasoning.Name
		}
		if err != nil || name != c.calls || thinks != c.thinks {
			t.Errorf("%+v: %q, %q, %v", c, name, thinks, err)
		}
	}
}
