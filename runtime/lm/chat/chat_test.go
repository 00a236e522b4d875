package chat

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"qpt/runtime/lm/tokenizer"
)

func TestRender(t *testing.T) {
	const template = `{{ bos_token }}{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}{% if add_generation_prompt %}[?]{% endif %}{{ more | join }}`
	const hi = `[{"role": "user", "content": "Hi"}]`
	for _, c := range []struct {
		template, messages string
		opt                Options
		want               string // the text, or part of the error
		err                error
	}{
		{"", `[{"content": "a"}, {"role": "x"}, {"content": null}, {"content": [{"type": "text", "text": "b"}, {"type": "text", "text": "c"}]}]`, Options{}, "a\n\n\nbc", nil},
		{"", `[]`, Options{}, "", nil},
		{template, hi, Options{}, "<s>[user]Hi", nil},
		{template, hi, Options{Prompt: true}, "<s>[user]Hi[?]", nil},
		{template, `[{"role": "user", "content": [{"type": "text", "text": "a "}, {"type": "text", "text": "é\"<"}]}]`, Options{}, `<s>[user]a é"<`, nil},
		{"{{ messages | tojson }}", `[{"b": [1.0, {"d": null}], "content": [], "a": 2}, {}]`, Options{}, `[{"b": [1.0, {"d": null}], "content": "", "a": 2}, {}]`, nil},
		{"{{ strftime_now('%d %b %Y %e %-') }}", hi, Options{}, "has a field that is not known", ErrTemplate},
		{"{{ strftime_now('%A %H:%M %%') }}", hi, Options{Now: time.Date(2025, 1, 2, 3, 4, 5, 6, time.UTC)}, "Thursday 03:04 %", nil},
		{"{{ strftime_now('%-d/%-m %-I %D %h %R') }}", hi, Options{Now: time.Date(2025, 1, 2, 3, 4, 5, 6, time.UTC)}, "2/1 3 01/02/25 Jan 03:04", nil},
		{"{{ strftime_now() }}", hi, Options{}, "wants a text", ErrTemplate},
		{"a\n{{ raise_exception('only ' ~ messages | length) }}", hi, Options{}, "chat template, line 2: only 1", ErrTemplate},
		{"a\n{{ messages[1].content }}", hi, Options{}, "chat template, line 2: item 1 of a list is undefined", ErrTemplate},
		{"{% for a in range(9999) %}{% for a in range(9999) %}{% endfor %}{% endfor %}", hi, Options{}, "steps", ErrTemplate},
		{"", `[{"content": [{"type": "image"}]}]`, Options{}, `message 1: part 1 of content is of type "image"`, ErrMessages},
		{"", `[{}, {"content": [{"type": "text"}]}]`, Options{}, "message 2: part 1 of content has no text", ErrMessages},
		{"", `[{"content": [{"text": "a"}]}]`, Options{}, "has no type", ErrMessages},
		{"", `[{"content": ["a"]}]`, Options{}, "must be a text or a list", ErrMessages},
		{"", `[{"content": 1}]`, Options{}, "must be a text or a list", ErrMessages},
		{"", `["a"]`, Options{}, "message 1: must be an object", ErrMessages},
		{"", `[null]`, Options{}, "message 1: must be an object", ErrMessages},
		{"", `{}`, Options{}, "must be a list", ErrMessages},
		{"", `null`, Options{}, "must be a list", ErrMessages},
		{"", `[{"a": 1, "a": 2}]`, Options{}, "messages: ", ErrMessages},
		{template, `[{"a": 99999999999999999999}]`, Options{}, "too large", ErrMessages},
	} {
		tmpl, err := New(c.template, map[string]any{"bos_token": "<s>"})
		if err != nil {
			t.Fatal(err)
		}
		text, err := tmpl.Render([]byte(c.messages), c.opt)
		if c.err == nil {
			if text != c.want || err != nil {
				t.Errorf("%s %s: %q, %v, want %q", c.template, c.messages, text, err, c.want)
			}
		} else if !errors.Is(err, c.err) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %s: %q, %v, want %q", c.template, c.messages, text, err, c.want)
		}
	}
	if _, err := New("\n{% if %}", nil); !errors.Is(err, ErrTemplate) || !strings.Contains(err.Error(), "line 2") {
		t.Error(err)
	}
}

// The special tokens and the default template are the tokenizer's.
func TestOf(t *testing.T) {
	data, err := os.ReadFile("../../../testdata/stories260K/tokenizer.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ config, want string }{
		{`{"bos_token": "<s>", "eos_token": {"__type": "AddedToken", "content": "</s>"}, "pad_token": null, "add_bos_token": true,
			"chat_template": "{{ bos_token ~ eos_token }}{{ pad_token is defined or add_bos_token is defined }}"}`, "<s></s>False"},
		{`{"chat_template": [{"name": "default", "template": "d"}, {"name": "rag", "template": "r"}]}`, "d"},
		{`{}`, ""},
		{`{"chat_template": [{"name": "tool_use", "template": "x"}, {"name": "rag", "template": "y"}]}`, "there are several (rag, tool_use), but none is the default"},
	} {
		tok, err := tokenizer.Parse(data, []byte(c.config))
		if err != nil {
			t.Fatal(err)
		}
		tmpl, err := Of(tok)
		if err != nil {
			if !errors.Is(err, ErrTemplate) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: %v", c.config, err)
			}
			continue
		}
		if text, err := tmpl.Render([]byte("[]"), Options{}); text != c.want || err != nil {
			t.Errorf("%s: %q, %v", c.config, text, err)
		}
	}
}
