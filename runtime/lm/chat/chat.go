// Package chat writes conversations the way a model was trained to read them:
// through the chat template of its checkpoint, as apply_chat_template of
// transformers does.
//
//	t, err := chat.Of(tok)
//	text, err := t.Render([]byte(`[{"role": "user", "content": "Hi"}]`), chat.Options{})
//	ids, err := tok.Encode(ctx, text, false) // the template writes BOS and its like itself
//
// Templates come from checkpoints and may be hostile: package jinja bounds what
// they can do.
package chat

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"qpt/internal/jinja"
	"qpt/internal/strictjson"
	"qpt/runtime/lm/tokenizer"
)

var (
	// ErrTemplate is matched by errors about a template: it cannot be read, it
	// fails, or it refuses the messages.
	ErrTemplate = errors.New("chat template")
	// ErrMessages is matched by errors about messages, whatever the template.
	ErrMessages = errors.New("messages")
)

// Day is the date that templates see unless Options say otherwise, so that the
// same messages always give the same text. It is the one that the templates of
// Llama 3 fall back to where there is no clock.
var Day = time.Date(2024, time.July, 26, 0, 0, 0, 0, time.UTC)

// work bounds what a template may do (see jinja.Render), plus workPerByte of
// the messages. Real ones take less than a hundredth.
const (
	work        = 1 << 25
	workPerByte = 256
)

// Template is made by New; it never changes and may be used by many goroutines.
// The zero Template joins the contents of messages by line breaks.
type Template struct {
	code   *jinja.Template
	tokens map[string]any
}

// Options of Render.
type Options struct {
	Prompt    bool            // end with what comes before an answer (add_generation_prompt)
	Now       time.Time       // for strftime_now; the zero Time is Day
	Tools     json.RawMessage // a JSON list that the template sees as tools; nil: none
	Documents json.RawMessage // a JSON list, for templates that write from some; nil: none
	Vars      json.RawMessage // a JSON object of further variables (chat_template_kwargs); nil: none
	End       string          // the text ends before this, which the last message holds (continue_final_message); "": nothing is cut
}

// New reads a template, in Jinja; "" gives the zero Template. tokens are the
// special tokens by name (bos_token, ..).
func New(source string, tokens map[string]any) (Template, error) {
	if source == "" {
		return Template{}, nil
	}
	code, err := jinja.Parse(source)
	if err != nil {
		return Template{}, fmt.Errorf("%w, %w", ErrTemplate, err)
	}
	return Template{code, tokens}, nil
}

// Of is the template of a tokenizer, the default one where it has several, and
// the zero Template where it has none.
func Of(t *tokenizer.Tokenizer) (Template, error) {
	if t.ChatTemplate() == "" && len(t.ChatTemplates()) > 0 {
		return Template{}, fmt.Errorf("%w: there are several (%s), but none is the default", ErrTemplate, strings.Join(slices.Sorted(maps.Keys(t.ChatTemplates())), ", "))
	}
	tokens := map[string]any{}
	for name, text := range t.SpecialTokens() {
		tokens[name] = text
	}
	return New(t.ChatTemplate(), tokens)
}

// Render writes messages, a JSON list of objects. A content that is a list of
// texts, [{"type": "text", "text": ".."}, ..], counts as the texts one after
// another, which every template can write; other parts are errors. An error of
// the template names its line.
func (t Template) Render(messages []byte, o Options) (string, error) {
	if err := strictjson.Check(messages); err != nil {
		return "", fmt.Errorf("%w: %w", ErrMessages, err)
	}
	var list []json.RawMessage
	if err := json.Unmarshal(messages, &list); err != nil || list == nil {
		return "", fmt.Errorf("%w: must be a list", ErrMessages)
	}
	contents := make([]string, len(list))
	for i := range list {
		var err error
		if list[i], contents[i], err = flatten(list[i]); err != nil {
			return "", fmt.Errorf("%w: message %d: %w", ErrMessages, i+1, err)
		}
	}
	if t.code == nil {
		return o.end(strings.Join(contents, "\n"))
	}
	data, err := json.Marshal(list)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrMessages, err)
	}
	return t.render(data, o)
}

// render renders messages as they are.
func (t Template) render(messages []byte, o Options) (string, error) {
	value, err := jinja.FromJSON(messages)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrMessages, err)
	}
	if o.Now.IsZero() {
		o.Now = Day
	}
	vars := map[string]any{
		"messages": value, "tools": nil, "documents": nil, "add_generation_prompt": o.Prompt,
		"raise_exception": jinja.Func(func(args []any) (any, error) {
			if len(args) != 1 {
				return nil, errors.New("raise_exception wants a text")
			}
			return nil, fmt.Errorf("%v", args[0])
		}),
		"strftime_now": jinja.Func(func(args []any) (any, error) {
			if len(args) == 1 {
				if form, ok := args[0].(string); ok {
					return strftime(o.Now, form)
				}
			}
			return nil, errors.New("strftime_now wants a text")
		}),
	}
	for name, token := range t.tokens {
		vars[name] = token
	}
	for name, given := range map[string]json.RawMessage{"tools": o.Tools, "documents": o.Documents} {
		if given == nil {
			continue
		}
		if vars[name], err = jinja.FromJSON(given); err != nil {
			return "", fmt.Errorf("%w: %s: %w", ErrMessages, name, err)
		}
	}
	if err := further(vars, o.Vars); err != nil {
		return "", fmt.Errorf("%w: %w", ErrMessages, err)
	}
	text, err := t.code.Render(vars, work+workPerByte*(len(messages)+len(o.Tools)+len(o.Documents)+len(o.Vars)))
	if err != nil {
		return "", fmt.Errorf("%w, %w", ErrTemplate, err)
	}
	return o.end(text)
}

// end cuts the text at o.End.
func (o *Options) end(text string) (string, error) {
	if o.End == "" {
		return text, nil
	}
	i := strings.LastIndex(text, o.End)
	if i < 0 {
		return "", fmt.Errorf("%w does not write the last message as it is, so that it cannot be continued", ErrTemplate)
	}
	return text[:i], nil
}

// further adds the variables of a JSON object to vars, which must not have them.
func further(vars map[string]any, object json.RawMessage) error {
	if object == nil {
		return nil
	}
	var list map[string]json.RawMessage
	if err := json.Unmarshal(object, &list); err != nil {
		return errors.New("further variables must be an object")
	}
	for name, value := range list {
		if _, taken := vars[name]; taken {
			return fmt.Errorf("the variable %q is not for a request to set", name)
		}
		v, err := jinja.FromJSON(value)
		if err != nil {
			return fmt.Errorf("variable %q: %w", name, err)
		}
		vars[name] = v
	}
	return nil
}

// flatten returns a message in which content is no list of parts, and its
// content as text. The keys keep their order.
func flatten(message json.RawMessage) (flat json.RawMessage, text string, err error) {
	if message[0] != '{' {
		return nil, "", errors.New("must be an object")
	}
	d := json.NewDecoder(bytes.NewReader(message))
	var b bytes.Buffer
	for i := 0; d.More() || i == 0; i++ {
		key, err := d.Token()
		if err != nil {
			return nil, "", err
		}
		if i == 0 { // the brace
			b.WriteByte('{')
			continue
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, "", err
		}
		if key == "content" {
			if text, err = content(value); err != nil {
				return nil, "", err
			}
			if value[0] == '[' {
				if value, err = json.Marshal(text); err != nil {
					return nil, "", err
				}
			}
		}
		name, err := json.Marshal(key)
		if err != nil {
			return nil, "", err
		}
		if i > 1 {
			b.WriteByte(',')
		}
		b.Write(name)
		b.WriteByte(':')
		b.Write(value)
	}
	b.WriteByte('}')
	return b.Bytes(), text, nil
}

// content is the text of a message's content: a text, null, or a list of parts that are texts.
func content(value json.RawMessage) (text string, err error) {
	if json.Unmarshal(value, &text) == nil { // "" of null
		return text, nil
	}
	var parts []struct{ Type, Text *string }
	if err := json.Unmarshal(value, &parts); err != nil {
		return "", errors.New("content must be a text or a list of {\"type\": \"text\", \"text\": ..}")
	}
	for i, p := range parts {
		switch {
		case p.Type == nil:
			return "", fmt.Errorf("part %d of content has no type", i+1)
		case *p.Type != "text":
			return "", fmt.Errorf("part %d of content is of type %.60q, only text is supported", i+1, *p.Type)
		case p.Text == nil:
			return "", fmt.Errorf("part %d of content has no text", i+1)
		}
		text += *p.Text
	}
	return text, nil
}

// strftime writes t as Python's strftime does in the C locale.
func strftime(t time.Time, form string) (string, error) {
	var b strings.Builder
	for {
		text, rest, found := strings.Cut(form, "%")
		b.WriteString(text)
		if !found {
			return b.String(), nil
		}
		rest, short := strings.CutPrefix(rest, "-") // without zeros or spaces before it
		layout, known := "", false
		if rest != "" {
			layout, known = layouts[rest[0]]
		}
		if !known {
			return "", fmt.Errorf("strftime_now: %q has a field that is not known", form)
		}
		if text = t.Format(layout); short && len(text) > 1 {
			text = strings.TrimLeft(text[:len(text)-1], "0 ") + text[len(text)-1:]
		}
		b.WriteString(text)
		form = rest[1:]
	}
}

// layouts are fields of strftime in the spelling of time.Format.
var layouts = map[byte]string{
	'a': "Mon", 'A': "Monday", 'b': "Jan", 'B': "January", 'c': "Mon Jan _2 15:04:05 2006", 'd': "02", 'e': "_2", 'H': "15", 'I': "03",
	'j': "002", 'm': "01", 'M': "04", 'p': "PM", 'S': "05", 'x': "01/02/06", 'X': "15:04:05", 'y': "06", 'Y': "2006", 'Z': "MST", '%': "%",
	'D': "01/02/06", 'F': "2006-01-02", 'R': "15:04", 'T': "15:04:05", 'h': "Jan",
}
