// The executor's page: copying, panels that open, ticks without a reload, and the advised pause.
(function () {
  'use strict';
  document.documentElement.classList.add('js');
  var copied = {};
  var timer = 0;
  var toastTimer = 0;

  function sheet() { return document.getElementById('sheet'); }

  function toast(text) {
    var box = document.getElementById('toast');
    box.textContent = text;
    box.classList.add('is-on');
    clearTimeout(toastTimer);
    toastTimer = setTimeout(function () { box.classList.remove('is-on'); }, 1800);
  }

  function select(node) {
    var range = document.createRange();
    range.selectNodeContents(node);
    var selection = window.getSelection();
    selection.removeAllRanges();
    selection.addRange(range);
  }

  // Without https there is no clipboard API, and old web views lack it: then by a field of our own.
  function copyByField(text) {
    var field = document.createElement('textarea');
    field.value = text;
    field.readOnly = true;
    field.className = 'copy-field';
    document.body.appendChild(field);
    field.select();
    field.setSelectionRange(0, text.length);
    var done = false;
    try { done = document.execCommand('copy'); } catch (error) { done = false; }
    document.body.removeChild(field);
    return done;
  }

  function copy(button) {
    var source = document.getElementById(button.getAttribute('data-copy'));
    var text = source.textContent;
    function good() {
      if (button.classList.contains('big')) {
        copied[source.id] = true;
        showCopied();
      }
      toast(sheet().getAttribute('data-copied'));
    }
    function fallback() {
      if (copyByField(text)) { good(); return; }
      select(source);
      toast(sheet().getAttribute('data-by-hand'));
    }
    if (navigator.clipboard && window.isSecureContext) {
      navigator.clipboard.writeText(text).then(good, fallback);
    } else {
      fallback();
    }
  }

  function showCopied() {
    document.querySelectorAll('.big[data-copy]').forEach(function (button) {
      button.classList.toggle('is-copied', Boolean(copied[button.getAttribute('data-copy')]));
    });
  }

  function togglePanel(button) {
    var wanted = button.getAttribute('data-panel');
    var open = button.getAttribute('aria-expanded') !== 'true';
    document.querySelectorAll('[data-panel]').forEach(function (other) {
      var on = open && other === button;
      other.setAttribute('aria-expanded', String(on));
      document.getElementById(other.getAttribute('data-panel')).classList.toggle('is-open', on);
    });
    if (open) { document.getElementById(wanted).scrollIntoView({ block: 'nearest', behavior: 'smooth' }); }
  }

  function countDown() {
    clearInterval(timer);
    var line = document.querySelector('[data-pause]');
    var end = Date.now() + Number(sheet().getAttribute('data-rest')) * 1000;
    if (!line || end <= Date.now()) { return; }
    line.hidden = false;
    function step() {
      var left = Math.ceil((end - Date.now()) / 1000);
      if (left <= 0) {
        clearInterval(timer);
        line.classList.add('is-go');
        line.textContent = line.getAttribute('data-go');
        return;
      }
      var time = Math.floor(left / 60) + ':' + String(left % 60).padStart(2, '0');
      line.textContent = line.getAttribute('data-wait').replace('{time}', time);
    }
    step();
    timer = setInterval(step, 500);
  }

  function send(form, button) {
    var body = new URLSearchParams(new FormData(form));
    if (button && button.name) { body.set(button.name, button.value); }
    form.querySelectorAll('button').forEach(function (each) { each.disabled = true; });
    fetch(form.action, { method: 'POST', body: body, headers: { Accept: 'text/html' } })
      .then(function (answer) { return answer.text(); })
      .then(function (text) {
        var fresh = new DOMParser().parseFromString(text, 'text/html').getElementById('sheet');
        if (!fresh) { window.location.reload(); return; }
        sheet().replaceWith(fresh);
        showCopied();
        countDown();
        var fault = fresh.querySelector('.notice-bad[role="alert"]');
        if (fault) { fault.scrollIntoView({ block: 'center' }); }
        if (fresh.classList.contains('is-done')) { window.scrollTo({ top: 0, behavior: 'smooth' }); }
      })
      .catch(function () {
        form.querySelectorAll('button').forEach(function (each) { each.disabled = false; });
        toast(sheet().getAttribute('data-failed'));
      });
  }

  document.addEventListener('click', function (event) {
    var button = event.target.closest('[data-copy], [data-panel]');
    if (!button) { return; }
    if (button.hasAttribute('data-copy')) { copy(button); } else { togglePanel(button); }
  });
  document.addEventListener('submit', function (event) {
    event.preventDefault();
    send(event.target, event.submitter);
  });
  countDown();
})();
