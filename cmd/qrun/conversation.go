package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"qpt/internal/ui"
	"qpt/runtime/lm"
	"qpt/runtime/lm/chat"
	"qpt/runtime/lm/tokenizer"
)

// message is one turn.
type message struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

// conversation is what was said, and a sequence that has read most of it.
type conversation struct {
	m        *lm.Model
	tok      *tokenizer.Tokenizer
	template chat.Template
	opt      lm.GenerateOptions
	system   string
	list     []message

	session *lm.Session
	read    []int32 // that the session was given; it holds the first of them
}

func newConversation(m *lm.Model, opt lm.GenerateOptions, system string) (*conversation, error) {
	tok, err := m.Tokenizer()
	if err != nil {
		return nil, err
	}
	c := &conversation{m: m, tok: tok, opt: opt, system: system}
	if c.template, err = chat.Of(tok); err != nil {
		return nil, err
	}
	c.session, err = m.NewSession()
	return c, err
}

// forget begins anew.
func (c *conversation) forget() { c.list = nil }

// encode gives the tokens of the conversation up to an answer.
func (c *conversation) encode(ctx context.Context) ([]int32, error) {
	list := c.list
	if c.system != "" {
		list = append([]message{{"system", c.system}}, list...)
	}
	doc, err := json.Marshal(list)
	if err != nil {
		return nil, err
	}
	ids, _, err := c.template.Encode(ctx, c.tok, doc, chat.Options{Prompt: true, Now: time.Now()})
	return ids, err
}

// errTooLong is a message that does not fit alone.
var errTooLong = errors.New("the message does not fit in the context")

// fit gives the tokens of the conversation and forgets its oldest turns until they leave room for an answer.
func (c *conversation) fit(ctx context.Context) (ids []int32, forgotten int, err error) {
	const answer = 16 // tokens that an answer has at least
	for {
		if ids, err = c.encode(ctx); err != nil || len(ids)+answer <= c.m.Context() {
			return ids, forgotten, err
		}
		if len(c.list) < 3 {
			return nil, forgotten, fmt.Errorf("%w: %d tokens, of %d positions", errTooLong, len(ids), c.m.Context())
		}
		c.list = c.list[2:]
		forgotten += 2
	}
}

// answer continues the conversation, whose last message is the user's. When ctx ends, what was written so far is the answer.
func (c *conversation) answer(ctx context.Context, ids []int32, write func(string) error) (*text, error) {
	common := 0
	for common < min(len(ids)-1, len(c.read), c.session.Len()) && ids[common] == c.read[common] {
		common++
	}
	c.session.Truncate(common)
	common = c.session.Len() // 0 where layers with a window have given up what lies before
	c.read = append(c.read[:common:common], ids[common:]...)
	var said strings.Builder
	t := &text{PromptTokens: len(ids) - common, Tokens: []int32{}}
	start := time.Now()
	var first time.Duration
	for step, err := range c.session.Generate(ctx, ids[common:], c.opt) {
		if err != nil {
			if ctx.Err() == nil {
				c.list = c.list[:len(c.list)-1] // as if it had not been asked
				return nil, err
			}
			t.Finish = "interrupt"
			break
		}
		if first == 0 {
			first = time.Since(start)
		}
		if t.Finish = step.Finish; step.ID >= 0 {
			t.Tokens = append(t.Tokens, step.ID)
			c.read = append(c.read, step.ID)
		}
		said.WriteString(step.Text)
		if err := write(step.Text); err != nil {
			return nil, err
		}
	}
	t.TTFT = first.Seconds()
	if n := len(t.Tokens); n > 1 {
		t.TPOT = (time.Since(start) - first).Seconds() / float64(n-1)
	}
	c.list = append(c.list, message{"assistant", strings.TrimSpace(said.String())})
	return t, nil
}

// turn asks and answers.
func (c *conversation) turn(ctx context.Context, ask string, write func(string) error) (*text, error) {
	c.list = append(c.list, message{"user", ask})
	ids, forgotten, err := c.fit(ctx)
	if err != nil {
		c.list = c.list[:len(c.list)-1]
		return nil, err
	}
	if forgotten > 0 {
		ui.Note("qrun", "the context is full: the %d oldest messages are forgotten", forgotten)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer ui.OnInterrupt(cancel)()
	return c.answer(ctx, ids, write)
}
