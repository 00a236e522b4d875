package serve

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"qpt/runtime/lm/chat"
)

// templating are the parameters of a chat's template, by vLLM's names.
type templating struct {
	AddPrompt *bool           `json:"add_generation_prompt"`
	Continue  bool            `json:"continue_final_message"`
	Vars      json.RawMessage `json:"chat_template_kwargs"`
	Documents json.RawMessage `json:"documents"`
	Effort    string          `json:"reasoning_effort"` // OpenAI's
}

// think tells a template to let the model think, or not, by the names that families have for it.
func (t *templating) think(on bool) {
	t.Vars = fmt.Appendf(nil, `{"enable_thinking":%[1]t,"thinking":%[1]t}`, on)
}

// effort passes OpenAI's reasoning_effort to a template that asks for it; what the request's own variables say counts more.
func (t *templating) effort(template string) error {
	if t.Effort == "" || !strings.Contains(template, "reasoning_effort") {
		return nil
	}
	vars := map[string]json.RawMessage{}
	if t.Vars != nil && json.Unmarshal(t.Vars, &vars) != nil {
		return refuse("chat_template_kwargs", "chat_template_kwargs must be an object")
	}
	if vars["reasoning_effort"] != nil {
		return nil
	}
	var err error
	if vars["reasoning_effort"], err = json.Marshal(t.Effort); err == nil {
		t.Vars, err = json.Marshal(vars)
	}
	return err
}

// chatPrompt is a conversation as the model reads it.
type chatPrompt struct {
	ids      []int32
	thinking bool // the prompt ends inside of a reasoning that it has begun
}

// chatPrompt renders messages, with the tools in them.
func (m *model) chatPrompt(c *call, raw json.RawMessage, tools json.RawMessage, t *templating) (*chatPrompt, error) {
	list, err := readMessages(raw)
	if err != nil {
		return nil, err
	}
	if m.chatErr != nil {
		return nil, refuse("messages", "this model takes no messages: %s", m.chatErr)
	}
	template := ""
	if m.tok != nil {
		template = m.tok.ChatTemplate()
	}
	if t.Documents != nil && !strings.Contains(template, "documents") {
		return nil, refuse("documents", "documents are not supported: the model's chat template takes none")
	}
	if err := t.effort(template); err != nil {
		return nil, err
	}
	size := len(tools) + len(t.Documents)
	for i := range list {
		size += len(list[i].Content)
	}
	if err := m.fits(size); err != nil && !c.cut {
		return nil, err
	}
	opt := chat.Options{Prompt: t.AddPrompt == nil || *t.AddPrompt, Tools: tools, Documents: t.Documents, Vars: t.Vars, Now: time.Now()}
	const open = "\uE0FE\uE0FF" // private use: behind the message to be continued
	last := &list[len(list)-1]
	if t.Continue {
		if t.AddPrompt != nil && *t.AddPrompt {
			return nil, refuse("continue_final_message", "continue_final_message and add_generation_prompt exclude each other")
		}
		opt.Prompt = false
		var text string
		if err := json.Unmarshal(last.Content, &text); err != nil {
			return nil, err
		}
		last.Content, _ = json.Marshal(text + open)
	}
	messages, err := json.Marshal(list)
	if err != nil {
		return nil, err
	}
	if t.Continue {
		opt.End = open
	}
	ids, text, err := m.chat.Encode(c.ctx(), m.tok, messages, opt)
	if err != nil {
		return nil, err
	}
	if len(ids) == 0 {
		return nil, refuse("messages", "the messages give no tokens")
	}
	inside := m.reasoning != nil && m.reasoning.Open != "" && strings.HasSuffix(strings.TrimRight(text, " \n"), m.reasoning.Open)
	return &chatPrompt{ids: ids, thinking: inside}, nil
}
