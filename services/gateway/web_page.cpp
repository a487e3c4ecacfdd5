#include "services/gateway/web_page.hpp"

namespace troupe::gateway {
namespace {

constexpr std::string_view kPage = R"html(<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Troupe</title>
<style>
body{font:16px/1.5 system-ui,sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem;color:#222;background:#fafaf8}
h1{font-size:1.3rem;margin:0}small,td,th{font-size:.9rem;color:#555;text-align:left}td,th{padding-right:1.2rem}
#log{white-space:pre-wrap;margin:1rem 0}.user{color:#264;font-weight:600}.error{color:#a22}
form{display:flex;gap:.5rem}textarea{flex:1;font:inherit;padding:.4rem}button,select{font:inherit}
@media(prefers-color-scheme:dark){body{color:#ddd;background:#1b1b1a}small,td,th{color:#aaa}.user{color:#9c8}}
</style></head><body>
<h1>Troupe</h1><small id="state">...</small>
<table id="models"></table>
<div id="log"></div>
<form id="form"><select id="model" aria-label="model"></select>
<textarea id="text" rows="2" placeholder="Say something" aria-label="message"></textarea>
<button id="send">Send</button><button id="stop" type="button" disabled>Stop</button></form>
<script>
const $=id=>document.getElementById(id);let history=[],abort=null;
function row(cells,tag){const tr=document.createElement('tr');for(const c of cells){const e=document.createElement(tag);e.textContent=c;tr.append(e)}return tr}
async function refresh(){try{const s=await(await fetch('/state')).json();
$('state').textContent=s.in_flight+' in flight, '+s.connections+' connections'+(s.draining?', draining':'');
$('models').replaceChildren(row(['model','context','workers'],'th'),...s.models.map(m=>row([m.id,m.max_model_len,m.ready_workers],'td')));
const chosen=$('model').value;$('model').replaceChildren(...s.models.filter(m=>m.chat).map(m=>new Option(m.id,m.id,false,m.id===chosen)));
}catch(e){$('state').textContent='not reachable'}}
function say(kind,text){const d=document.createElement('div');d.className=kind;d.textContent=text;$('log').append(d);return d}
async function send(){const text=$('text').value.trim();if(!text||abort)return;
$('text').value='';history.push({role:'user',content:text});say('user',text);const out=say('assistant','');
abort=new AbortController();$('send').disabled=true;$('stop').disabled=false;let answer='';
try{const r=await fetch('/v1/chat/completions',{method:'POST',signal:abort.signal,headers:{'Content-Type':'application/json'},
body:JSON.stringify({model:$('model').value,messages:history,stream:true})});
if(!r.ok)throw new Error((await r.json()).error.message);
const reader=r.body.pipeThrough(new TextDecoderStream()).getReader();let rest='';
for(;;){const{value,done}=await reader.read();if(done)break;rest+=value;const parts=rest.split('\n\n');rest=parts.pop();
for(const p of parts){const data=p.slice(6);if(data==='[DONE]')continue;const e=JSON.parse(data);if(e.error)throw new Error(e.error.message);
const c=e.choices[0];if(c&&c.delta.content){answer+=c.delta.content;out.textContent=answer}}}
}catch(e){if(e.name!=='AbortError'){out.className='error';out.textContent=answer+' '+e.message}}
if(answer)history.push({role:'assistant',content:answer});else history.pop();
abort=null;$('send').disabled=false;$('stop').disabled=true}
$('form').onsubmit=e=>{e.preventDefault();send()};
$('text').onkeydown=e=>{if(e.key==='Enter'&&!e.shiftKey){e.preventDefault();send()}};
$('stop').onclick=()=>abort&&abort.abort();refresh();setInterval(refresh,2000);
</script></body></html>
)html";

}  // namespace

std::string_view web_page() { return kPage; }

}  // namespace troupe::gateway
