// Package page is the chat page of the server: one HTML file with all that it needs, which talks to /v1/chat/completions.
package page

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"
)

//go:embed page.html
var html string

// policy lets the browser run what is in the file and nothing else, whatever a model writes.
var policy = "default-src 'none'; script-src " + hash("script") + "; style-src " + hash("style") + "; connect-src 'self'; img-src data:; form-action 'none'; frame-ancestors 'none'; base-uri 'none'"

// hash names what stands between a tag's ends for a Content-Security-Policy.
func hash(tag string) string {
	_, rest, _ := strings.Cut(html, "<"+tag+">")
	text, _, _ := strings.Cut(rest, "</"+tag+">")
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// Handler serves the page, for GET /{$}.
func Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		h := w.Header()
		h.Set("Content-Type", "text/html; charset=utf-8")
		h.Set("Content-Length", strconv.Itoa(len(html)))
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-cache")
		_, _ = w.Write([]byte(html)) // a client that left needs no word
	})
}
