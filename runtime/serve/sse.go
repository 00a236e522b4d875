package serve

import (
	"bytes"
	"encoding/json"
	"net/http"
	"time"
)

// events writes a stream of server-sent events. The header goes out with the first of them, so that an
// error before it can be an answer of its own.
type events struct {
	c       *call
	rc      *http.ResponseController
	timeout time.Duration
	started bool
	kind    string // Content-Type
	buf     bytes.Buffer
	err     error // of writing: the client has left, or does not read
}

// events is the stream of an answer; nil if it is to be one document.
func (s *Server) events(c *call, stream bool) *events {
	if !stream {
		return nil
	}
	return &events{c: c, rc: http.NewResponseController(c.w), timeout: s.opt.WriteTimeout, kind: "text/event-stream; charset=utf-8"}
}

// send writes an event, named if name is not "".
func (e *events) send(name string, v any) error {
	e.buf.Reset()
	if name != "" {
		e.buf.WriteString("event: " + name + "\n")
	}
	e.buf.WriteString("data: ")
	if err := e.encode(v); err != nil {
		return err
	}
	e.buf.WriteString("\n")
	return e.flush()
}

// line writes a line of JSON, as Ollama's streams have them.
func (e *events) line(v any) error {
	e.buf.Reset()
	if err := e.encode(v); err != nil {
		return err
	}
	return e.flush()
}

// done writes the end of OpenAI's streams.
func (e *events) done() error {
	e.buf.Reset()
	e.buf.WriteString("data: [DONE]\n\n")
	return e.flush()
}

func (e *events) encode(v any) error {
	enc := json.NewEncoder(&e.buf)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

func (e *events) flush() error {
	if e.err != nil {
		return e.err
	}
	if !e.started {
		e.started = true
		h := e.c.w.Header()
		h.Set("Content-Type", e.kind)
		h.Set("Cache-Control", "no-cache")
		h.Set("X-Accel-Buffering", "no")
	}
	e.rc.SetWriteDeadline(time.Now().Add(e.timeout))
	if _, e.err = e.c.w.Write(e.buf.Bytes()); e.err == nil {
		e.err = e.rc.Flush()
	}
	if e.err != nil {
		e.err = errLeft
	}
	return e.err
}
