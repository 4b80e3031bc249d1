// What stands behind the # of a link is a token: it is sent as if it were pasted.
const token = decodeURIComponent(location.hash.slice(1));
if (token) {
  history.replaceState(null, "", location.pathname);
  const form = document.getElementById("login");
  form.elements.token.value = token;
  form.submit();
}
