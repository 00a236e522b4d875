package page

import (
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
)

// The page comes whole, and the browser is told to run what is in it and nothing else.
func TestHandler(t *testing.T) {
	w := httptest.NewRecorder()
	Handler().ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	if w.Code != 200 || w.Body.String() != html || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/html") {
		t.Errorf("%d, %d bytes of %s", w.Code, w.Body.Len(), w.Header().Get("Content-Type"))
	}
	policy := w.Header().Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'none'", "connect-src 'self'", "script-src 'sha256-"} {
		if !strings.Contains(policy, want) {
			t.Errorf("policy %q lacks %q", policy, want)
		}
	}
	if strings.Contains(policy, "unsafe") {
		t.Errorf("policy %q", policy)
	}
}

// One script, one style, as the policy's hashes ask, and nothing from elsewhere.
func TestAlone(t *testing.T) {
	for _, tag := range []string{"script", "style"} {
		if n := strings.Count(html, "<"+tag); n != 1 || strings.Count(html, "<"+tag+">") != 1 {
			t.Errorf("%d of <%s>, want one without attributes", n, tag)
		}
	}
	for _, pattern := range []string{`\ssrc=`, `url\(`, `@import`, `<link [^>]*href="[^d]`, ` on[a-z]+="`, `style="`, `innerHTML`, `fetch\("[^v]`, `https?://[^w]`} {
		if found := regexp.MustCompile(pattern).FindString(html); found != "" {
			t.Errorf("the page has %q", found)
		}
	}
}
