package serve

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"qpt/internal/cpu"
	"qpt/internal/outfile"
	"qpt/runtime/lm"
	"qpt/runtime/lm/chat"
	"qpt/runtime/serve/sched"
)

// pin reads the beginnings of conversations under the system prompts of Options.Pinned, or takes them from the disk.
func (s *Server) pin(m *model) (list []sched.Pinned, err error) {
	defer func() {
		if err != nil {
			for _, p := range list {
				p.Session.Close()
			}
			list, err = nil, fmt.Errorf("a pinned system prompt: %w", err)
		}
	}()
	bytes := int64(0)
	for _, prompt := range s.opt.Pinned {
		if m.chatErr != nil {
			return list, m.chatErr
		}
		ids, err := m.beginning(s.quit, prompt)
		if err != nil {
			return list, err
		}
		if same := m.lm.Program().SameUpTo(); len(ids) >= m.context || same > 0 && len(ids) > same {
			return list, fmt.Errorf("%w: %d tokens", sched.ErrContext, len(ids))
		}
		if bytes += m.lm.KVBytes(len(ids), 0); m.lm.KVMemory() > 0 && 2*bytes > m.lm.KVMemory() {
			return list, fmt.Errorf("all of them take %d bytes, more than half of the keys and values' %d (--kv-memory)", bytes, m.lm.KVMemory())
		}
		session, err := s.pinned(m, ids)
		if err != nil {
			return list, err
		}
		list = append(list, sched.Pinned{Tokens: ids, Session: session})
	}
	return list, nil
}

// beginning are the tokens that all conversations under a system prompt begin with.
func (m *model) beginning(ctx context.Context, system string) (ids []int32, err error) {
	for i, user := range []string{"a", "7"} {
		messages, err := json.Marshal([]map[string]string{{"role": "system", "content": system}, {"role": "user", "content": user}})
		if err != nil {
			return nil, err
		}
		other, _, err := m.chat.Encode(ctx, m.tok, messages, chat.Options{Prompt: true, Now: time.Now()})
		if err != nil {
			return nil, err
		}
		if i == 0 {
			ids = other
			continue
		}
		n := 0
		for n < min(len(ids), len(other)) && ids[n] == other[n] {
			n++
		}
		ids = ids[:n]
	}
	if len(ids) == 0 {
		return nil, fmt.Errorf("conversations under it have no beginning in common")
	}
	return ids, nil
}

// hash names what keys and values of ids depend on: the release, the model, the machine's instructions.
func (s *Server) hash(m *model, ids []int32) []byte {
	h := sha256.New()
	fmt.Fprintln(h, s.opt.Version, cpu.Active(), m.lm.KV(), ids)
	h.Write(m.digest())
	return h.Sum(nil)
}

// pinned is a session that has read ids, restored from the disk if it was kept there by the same release, for the same model, on a
// machine with the same instructions.
func (s *Server) pinned(m *model, ids []int32) (*lm.Session, error) {
	session, err := m.lm.NewSession()
	if err != nil {
		return nil, err
	}
	path := ""
	if s.opt.PinDir != "" {
		path = filepath.Join(s.opt.PinDir, hex.EncodeToString(s.hash(m, ids)[:16])+".kv")
		data, err := os.ReadFile(path)
		if n := len(data) - sha256.Size; err == nil && n >= 0 {
			if sum := sha256.Sum256(data[:n]); bytes.Equal(sum[:], data[n:]) && session.Restore(data[:n]) == nil && session.Len() == len(ids) {
				return session, nil
			}
			session.Truncate(0)
		}
	}
	start := time.Now()
	if _, err := session.Append(s.quit, ids); err != nil {
		session.Close()
		return nil, err
	}
	s.opt.Log.Info("pinned", slog.String("model", m.name), slog.Int("tokens", len(ids)), slog.Duration("took", time.Since(start)))
	if path == "" {
		return session, nil
	}
	data, err := session.AppendBinary(nil)
	if err == nil {
		sum := sha256.Sum256(data)
		if err = os.MkdirAll(s.opt.PinDir, 0o700); err == nil {
			err = outfile.Write(path, append(data, sum[:]...))
		}
	}
	if err != nil {
		session.Close()
		return nil, err
	}
	return session, nil
}
